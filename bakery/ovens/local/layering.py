"""What one bake in a container does with layers: it begins from one, and takes others between its provisioners."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from bakery.errors import ContainerFailed, InfrastructureFailed
from bakery.host import process
from bakery.ovens.local import container
from bakery.ovens.local.layer_names import LayerNames
from bakery.ovens.local.layers import Layers, size
from bakery.progress.activity import Activity

WORK = 10.0  # seconds for each GiB of the disk: provisioners that took less are repeated sooner than the disk is copied
LAST_WORK = 60.0  # the same for the last one: its layer only serves a recipe that gets another provisioner


@dataclass
class Layering:
    """The layers of one bake; at the end of its context those that were taken are on the disk.

    If the container never got to a provisioner, the layer that it began from may be damaged, and is deleted. ``born``
    is when the oldest content of the container's disk came to it, ``begun`` the number of provisioners that it had at
    the start, ``since`` when the first one began that is in no layer.
    """

    store: Layers
    found: LayerNames
    baker: container.BakeContainer
    user: str
    activity: Activity
    log: Path
    note: Callable[[str], None]
    born: float = field(default_factory=time.time)
    begun: int = 0
    since: float = 0.0
    publisher: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "layers"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self.publisher.shutdown()
        if self.begun and not self.since and isinstance(error, ContainerFailed):
            self.note("the layer is not used again")
            self.store.file(self.found.names[self.begun - 1]).unlink(missing_ok=True)

    def begin(self) -> int:
        """Copy the deepest layer to the container's disk; return how many provisioners it has, 0 if there is none."""
        if self.found.names:
            self.store.prune()  # they give way if the disk is nearly full
        done = self.store.deepest(self.found.names)
        try:
            if done:
                self.born = self.store.restore(self.found.names[done - 1], self.baker.disk, self.activity)
        except InfrastructureFailed as error:
            self.note(f"baking from nothing: {error.message}")
            return 0
        self.begun = done
        return done

    def take(self, running: process.Running, done: int, *, last: bool = False) -> None:
        """Take a layer after ``done`` provisioners. If that fails, the bake continues without it.

        Raises ContainerFailed if the container can't continue, and Interrupted.
        """
        if done <= self.begun:
            self.since = time.monotonic()
            return
        names = self.found.names[done - 1 : done]
        if not names or self.store.deepest(names):
            return
        if time.monotonic() - self.since < (LAST_WORK if last else WORK) * size(self.baker.disk) / (1 << 30):
            return
        try:
            if reason := self.store.lack(self.baker.disk) or self._unlike():
                self.note(f"no layer after provisioner {done}: {reason}")
                return
            with container.stopped(self.baker, running, self.activity):
                scratch = self.store.copy(self.baker.disk, self.activity)
        except ContainerFailed:
            raise
        except InfrastructureFailed as error:
            self.note(f"no layer after provisioner {done}: {error.message}")
            return
        self.since = time.monotonic()
        self.publisher.submit(self._publish, scratch, names[0], done)

    def _unlike(self) -> str:
        return container.unlike(self.baker, self.user, self.activity, self.log)

    def _publish(self, scratch: Path, name: str, done: int) -> None:
        try:
            self.store.publish(scratch, name, self.born)
        except InfrastructureFailed as error:
            self.note(f"no layer after provisioner {done}: {error.message}")
