"""The fake oven, for tests and for trying out a stack. It makes small files and boots no machine.

It implements the whole protocol (one bake per digest, atomic publishing, cancelling). The setting ``fake`` scripts it::

    fake:
      seconds: 0.5              # of each bake
      phases: [booting, baking] # shown in equal parts of that time
      command: [sleep, "2"]     # runs at the end of each bake, as Packer does
      bakes:                    # by package; both keys are optional
        hpcc: {seconds: 2, fail: bake}  # or: infrastructure

``fail`` also takes a number of times: ``{fail: infrastructure, times: 1}`` fails once and then bakes.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.errors import BakeFailed, InfrastructureFailed
from bakery.host import process
from bakery.host.budget import budget_of
from bakery.host.files import write_atomic
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens import licence_servers
from bakery.ovens.base import Bake
from bakery.ovens.local.scratch import FINISHED
from bakery.ovens.single_flight import bake_once
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.stage import check_sources
from bakery.settings import Settings

PHASES = ("booting", "baking: provisioner 1 of 2", "baking: provisioner 2 of 2", "flattening")


class FakeOven:
    """A :class:`bakery.ovens.base.Oven` that follows the script in the module's description."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = StatePaths(settings.state)
        self.library = LocalLibrary(settings)

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """Adopt, join or bake the image, a small JSON file."""
        return bake_once(order, activity, self.state, self.library, self._on_a_machine)

    def _on_a_machine(self, order: BakeOrder, activity: Activity, work: Path, log: Path) -> None:
        with budget_of(self.settings).used(f"the bake of {order.name}"):
            self._bake(order, activity, work, log)

    def _bake(self, order: BakeOrder, activity: Activity, work: Path, log: Path) -> None:
        if (work / FINISHED).exists():
            return
        script: Mapping[str, Any] = self.settings.fake.get("bakes", {}).get(order.package, {})
        licence_servers.check(order.licence_servers, activity)
        check_sources(order.files)
        phases = self.settings.fake.get("phases", PHASES)
        seconds = float(script.get("seconds", self.settings.fake.get("seconds", 0)))
        for phase in phases:
            activity.say(phase)
            with log.open("a", encoding="utf-8") as sink:
                sink.write(f"fake: {phase}\n")
            activity.sleep(seconds / len(phases))
        if command := self.settings.fake.get("command"):
            process.run(command, cwd=self.settings.root, log=log, activity=activity)
        self._fail(order, script, log)
        write_atomic(work / FINISHED, json.dumps({"image": order.name, "digest": order.digest}).encode())

    def _fail(self, order: BakeOrder, script: Mapping[str, Any], log: Path) -> None:
        """Fail as scripted. The failures are counted in a file, because each ``up`` is another process."""
        kind = script.get("fail")
        if kind is None:
            return
        counter = self.state.work / f"fake-failures-{order.package}"
        failed = int(counter.read_text(encoding="utf-8")) if counter.exists() else 0
        if failed >= script.get("times", failed + 1):
            return
        counter.write_text(str(failed + 1), encoding="utf-8")
        error = BakeFailed if kind == "bake" else InfrastructureFailed
        raise error(
            f"{order.name} was not baked: the script of the fake oven makes it fail",
            tail=log.read_text(encoding="utf-8").splitlines()[-40:],
            log=log,
            replay=f"bakery bake {order.family} --stack {self.settings.stack}",
        )
