"""Looks into the machine of a failed bake: ``bakery debug``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bakery.backends.base import Backend, FailedMachine
from bakery.errors import BakeFailed, BakeryError
from bakery.fluid_run.base import Login
from bakery.operations.bake import Watch, bake_all, planned
from bakery.orders.model import BakeOrder, bake_order
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.image_names import DIGEST_SHOWN


class Failure(NamedTuple):
    """A bake that failed: its machine, whether that was left up just now, and the error (None if not just now)."""

    machine: FailedMachine
    made: bool
    error: BakeryError | None = None

    @property
    def login(self) -> Login:
        """How to get a shell on the machine."""
        return Login(self.machine.image, self.machine.shell, "ssh", "exit")


@dataclass(frozen=True)
class Debugging:
    """The bake of a family's image with the present recipe."""

    backend: Backend
    family: str
    order: BakeOrder

    def failed(self, watch: Watch, replay: str) -> Failure | None:
        """Return the failed bake, of which a machine is up; bake again if none is. None if the bake succeeds.

        Raises what prevents the bake, or a look at its machine.
        """
        if machine := self.backend.failed_machine(self.family):
            return Failure(machine, made=False)
        keeping = self.backend.keeping_failed()
        images = planned(self.backend.settings, [self.family], locked=False)
        *_, last = bake_all(images, keeping.oven(), watch, lambda _family: replay)
        if last.error is None:
            return None
        machine = self.backend.failed_machine(self.family)
        if machine is None or not isinstance(last.error, BakeFailed):
            raise last.error
        return Failure(machine, made=True, error=last.error)

    def run(self, machine: FailedMachine, step: str, activity: Activity) -> Sequence[str]:
        """Run the present recipe in the machine, from ``step`` on; return what was run. Raises BakeryError."""
        log = StatePaths(self.backend.settings.state).logs / f"{machine.image}.debug.log"
        return machine.run(self.order, step, activity, log)


def debugging(backend: Backend, wanted: str) -> Debugging:
    """Return the bake of the family, or of the image of a family, that ``wanted`` names.

    Raises UnknownFamily, InputError for recipes with errors, and BakeryError if the back end has no such machines.
    """
    backend.keeping_failed()
    family = wanted
    stem, _, end = wanted.rpartition("-")
    if len(end) == DIGEST_SHOWN and set(end) <= set("0123456789abcdef"):
        family = stem
    image = next(one for one in planned(backend.settings, [family], locked=False) if one.family == family)
    return Debugging(backend, family, bake_order(image))
