"""Looks into the machine of a failed bake: ``bakery debug``."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bakery.backends.base import Backend, FailedMachine
from bakery.errors import BakeFailed, BakeryError, BakeStopped
from bakery.fluid_run.base import Login
from bakery.operations.bake import Watch, bake_all, planned
from bakery.orders.model import BakeOrder, bake_order
from bakery.ovens.base import DebugTerms, Oven
from bakery.paths import StatePaths
from bakery.plan.model import ImagePlan
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
        return Login(self.machine.image, self.machine.shell, self.machine.program, "exit")

    @property
    def stopped(self) -> bool:
        """Whether the bake ended where it was asked to."""
        return isinstance(self.error, BakeStopped)


@dataclass(frozen=True)
class Debugging:
    """The bake of a family's image with the present recipe: ``images`` are what it is based on, and itself."""

    backend: Backend
    terms: DebugTerms
    baker: Oven
    images: tuple[ImagePlan, ...]

    @property
    def family(self) -> str:
        """The image's family."""
        return self.images[-1].family

    @property
    def order(self) -> BakeOrder:
        """The order to bake the image."""
        return bake_order(self.images[-1])

    def failed(self, watch: Watch, replay: str) -> Failure | None:
        """Return the failed bake, of which a machine is up; bake again if none is. None if the bake succeeds.

        Raises what prevents the bake, or a look at its machine.
        """
        if not self.terms.stop and (machine := self.backend.failed_machine(self.family)):
            return Failure(machine, made=False)
        for parent in bake_all(self.images[:-1], self.backend.oven(), watch, lambda _family: replay):
            if parent.error:
                raise parent.error
        (last,) = bake_all(self.images[-1:], self.baker, watch, lambda _family: replay)
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


def debugging(backend: Backend, wanted: str, seconds: int, stop: str) -> Debugging:
    """Return the bake of the family, or of the image of a family, that ``wanted`` names.

    ``seconds`` and ``stop`` are those of :class:`bakery.ovens.base.DebugTerms`.
    Raises UnknownFamily, InputError for recipes with errors, and BakeryError if the back end has no such machines.
    """
    terms = DebugTerms(seconds, stop)
    oven, family = backend.debug_oven(terms), wanted
    stem, _, end = wanted.rpartition("-")
    if len(end) == DIGEST_SHOWN and set(end) <= set("0123456789abcdef"):
        family = stem
    return Debugging(backend, terms, oven, planned(backend.settings, [family], locked=False))
