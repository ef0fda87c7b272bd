"""What one bake in a container does with layers: it begins from one, and takes others between its provisioners."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bakery.errors import ContainerFailed, InfrastructureFailed
from bakery.host import process
from bakery.ovens.local import container
from bakery.ovens.local.layer_names import LayerNames
from bakery.ovens.local.layers import Layers
from bakery.progress.activity import Activity

LEAST_SECONDS = 3.0  # of work in a layer: what takes less is done again sooner than a disk is copied


@dataclass
class Layering:
    """The layers of one bake; those that were taken are on the disk when ``publisher`` is shut down.

    ``born`` is when the oldest content of the container's disk came to it, ``since`` when the last layer was taken.
    """

    store: Layers
    found: LayerNames
    baker: container.BakeContainer
    user: str
    activity: Activity
    log: Path
    note: Callable[[str], None]
    born: float = field(default_factory=time.time)
    since: float = field(default_factory=time.monotonic)
    publisher: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "layers"))

    def begin(self) -> int:
        """Copy the deepest layer to the container's disk; return how many provisioners it has, 0 if there is none."""
        done = self.store.deepest(self.found.names)
        try:
            if done:
                self.born = self.store.restore(self.found.names[done - 1], self.baker.disk, self.activity)
        except InfrastructureFailed as error:
            self.note(f"baking from nothing: {error.message}")
            return 0
        return done

    def take(self, running: process.Running, done: int) -> None:
        """Take a layer after ``done`` provisioners. If that fails, the bake continues without it.

        Raises ContainerFailed if the container can't continue, and Interrupted.
        """
        names = self.found.names[done - 1 : done] if done else ()
        if not names or self.store.deepest(names) or time.monotonic() - self.since < LEAST_SECONDS:
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
