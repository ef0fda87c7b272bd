"""The fake oven: what the engine tests bake with, and what shows a stack without a machine being booted.

It keeps every promise of the protocol (one bake a digest, atomic publishing, cancelling) and makes small files. The
setting ``fake`` scripts it::

    fake:
      seconds: 0.5              # of each bake
      phases: [booting, baking] # said in equal parts of that time
      bakes:                    # by package; both keys may be left out
        hpcc: {seconds: 2, fail: bake}  # or: infrastructure

``fail`` also takes a number of times: ``{fail: infrastructure, times: 1}`` fails once and then bakes.
"""

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.errors import BakeFailed, InfrastructureFailed
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens import single_flight
from bakery.ovens.base import Bake
from bakery.ovens.local import scratch
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.stage import check_sources
from bakery.settings import Settings

PHASES = ("booting", "baking: provisioner 1 of 2", "baking: provisioner 2 of 2", "flattening")


class FakeOven:
    """See the module."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state = StatePaths(settings.state)
        self.library = LocalLibrary(settings)

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """As :meth:`bakery.ovens.base.Oven.bake`; the image is a small JSON file."""
        with contextlib.ExitStack() as held:
            return single_flight.bake_once(
                order, activity, self.state, self.library, lambda: self._bake(order, activity, held)
            )

    def _bake(self, order: BakeOrder, activity: Activity, held: contextlib.ExitStack) -> Path:
        """Return the image, a file in a scratch folder that is deleted when ``held`` is closed."""
        script: Mapping[str, Any] = self.settings.fake.get("bakes", {}).get(order.package, {})
        check_sources(order.files)
        work = held.enter_context(scratch.folder(self.state, order.name))
        log = self._log(order)
        phases = self.settings.fake.get("phases", PHASES)
        seconds = float(script.get("seconds", self.settings.fake.get("seconds", 0)))
        for phase in phases:
            activity.say(phase)
            with log.open("a", encoding="utf-8") as sink:
                sink.write(f"fake: {phase}\n")
            activity.sleep(seconds / len(phases))
        self._fail(order, script, log)
        image = work / "image"
        image.write_text(json.dumps({"image": order.name, "digest": order.digest}), encoding="utf-8")
        return image

    def _log(self, order: BakeOrder) -> Path:
        self.state.logs.mkdir(parents=True, exist_ok=True)
        log = self.state.logs / f"{order.name}.log"
        log.write_text("", encoding="utf-8")
        return log

    def _fail(self, order: BakeOrder, script: Mapping[str, Any], log: Path) -> None:
        """Fail as the script says, counting the times in a file since every ``up`` is a process of its own."""
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
            f"{order.name} was not baked: the fake oven is told to fail",
            tail=log.read_text(encoding="utf-8").splitlines()[-40:],
            log=log,
            replay=f"bakery bake {order.family} --stack {self.settings.stack}",
        )
