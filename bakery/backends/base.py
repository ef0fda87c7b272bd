"""What a back end is: the protocol that the local, the Google Cloud and the fake back end implement."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from bakery.backends.checks import Check
    from bakery.errors import Problem
    from bakery.fluid_run.base import Clusters
    from bakery.library.base import ImageRecord, Library
    from bakery.lock.model import Resolver
    from bakery.orders.model import BakeOrder
    from bakery.ovens.base import DebugTerms, Oven
    from bakery.plan.address import Address
    from bakery.plan.model import ImagePlan, Plan
    from bakery.progress.activity import Activity
    from bakery.results.model import Verdict
    from bakery.settings import Settings


@dataclass(frozen=True)
class RunLogs:
    """A Fluid-Run with the paths or addresses of its files (empty if they were deleted). Times are RFC 3339 in UTC."""

    run_id: str
    started: str
    verdict: Verdict
    reason: str
    files: tuple[str, ...]


class FailedMachine(Protocol):
    """The machine of a failed bake that is still up. Every method raises BakeryError."""

    @property
    def image(self) -> str:
        """The name of the image that was not baked."""

    @property
    def shell(self) -> str:
        """The shell line that opens a shell of root on it, once :meth:`prepare` was called."""

    @property
    def program(self) -> str:
        """The program that the shell line needs."""

    @property
    def cost(self) -> str:
        """A line about what the machine takes and when it ends by itself; "" if only its user ends it."""

    def prepare(self, order: BakeOrder, activity: Activity) -> None:
        """Wait until it answers, and copy the recipe's files and variables into it."""

    def run(self, order: BakeOrder, step: str, activity: Activity, log: Path) -> Sequence[str]:
        """Run the provisioners from ``step`` (its number or words of it) on; return what was run."""

    def end(self) -> None:
        """End it and delete its files."""


@dataclass(frozen=True)
class ImageLogs:
    """All logs of one image.

    ``bake`` is the path or address of the bake's log, empty if none exists; ``read`` returns the content of that log.
    ``kept`` are the paths or addresses of the files that the bake brought back (``spack.lock``).
    """

    image: str
    bake: str
    read: Callable[[], bytes]
    kept: tuple[str, ...]
    runs: tuple[RunLogs, ...]


class Backend(Protocol):
    """Everything that depends on where a stack's images are baked, tested and kept.

    An implementation is a frozen value made from the settings. Its methods import what they need, so that a plan loads
    neither Google's clients nor SQLite without need.
    """

    @property
    def settings(self) -> Settings:
        """The stack's settings."""

    @property
    def location(self) -> Mapping[str, str]:
        """Inputs of all resources that identify the library, e.g. its project; a change of one replaces the image."""

    def oven(self) -> Oven:
        """Return the oven, which bakes images into the library."""

    def library(self) -> Library:
        """Return the library; an empty one if nothing was published yet."""

    def existing_library(self) -> Library | None:
        """Return the library, or None if it is certain, without asking it, that nothing was ever published."""

    def damaged(self, *, contents: bool) -> list[str]:
        """Return a line for each image whose file is damaged; with ``contents`` all of it is read, else its size."""

    def refused(self, images: Sequence[ImagePlan]) -> list[str]:
        """Return a line for each thing of the plan that the place is known to refuse, with what to do."""

    def beyond_quotas(self, baked: Sequence[ImagePlan], tested: Sequence[ImagePlan]) -> tuple[Problem, ...]:
        """Return a warning for each bake and test that the place has not enough room for, or not at the same time."""

    def fetched(self, images: Sequence[ImagePlan]) -> Iterable[Address]:
        """Return what the oven fetches from other computers to bake these images, besides what their recipes do.

        Raises BakeryError for a base image that it can't make.
        """

    def clusters(self, *, open_seconds: int = 0) -> Clusters:
        """Return the test clusters; the user can log in to their machines for ``open_seconds``, if that is not 0."""

    def resolver(self) -> Resolver:
        """Return the resolver of external base images, which needs the network."""

    def image_link(self, name: str, digest: str) -> str:
        """Return the path or address that consumers boot the image from."""

    def store_output(self, path: str, text: str) -> bool:
        """Store a file for consumers below ``outputs/`` of the state folder or the artifacts bucket, if it changed.

        Earlier versions stay, see :mod:`bakery.host.versions`. Returns whether it was written. Raises
        InfrastructureFailed, BakeryError.
        """

    def declare(self, plan: Plan) -> Sequence[Any]:
        """Declare the infrastructure of the plan in the running Pulumi program; return the resources bakes wait for."""

    def adopt(self, source: str, image: ImageRecord) -> ImageRecord:
        """Copy an image that was made elsewhere into the library, as an untested candidate, and return it.

        ``source`` is a file, or an image of Compute Engine; ``image`` has family, recipe and time. Idempotent. Raises
        BakeryError if there is no such image or it can't be used, and Uncertain.
        """

    def take(self, name: str, source: Backend) -> bool:
        """Copy an image of another stack's library with its digest, verdict and Fluid-Runs, if this one lacks it.

        Returns whether it was copied. Idempotent. Raises BakeryError if there is no such image, its content changed, or
        the two back ends have no way from one to the other, InfrastructureFailed and Uncertain.
        """

    def debug_oven(self, terms: DebugTerms) -> Oven:
        """Return an oven that leaves the machine of a failed bake up, and bakes one image.

        With ``terms.stop`` it bakes an image that exists, too. Raises BakeryError if there is none to log in to.
        """

    def failed_machine(self, family: str) -> FailedMachine | None:
        """Return the machine that the last failed bake of the family left up; None if there is none."""

    def logs(self, wanted: str) -> ImageLogs:
        """Return the logs of the image that ``wanted`` fits: its name, the start of it or of its digest, or a family.

        An image whose bake failed has a log and no record. Raises BakeryError if none or more than one image fits,
        Uncertain.
        """

    def checks(self) -> Iterator[Check]:
        """Check what the back end needs of this machine, without changing anything."""

    def prune_layers(self, *, dry_run: bool = False) -> int:
        """Delete layers of bakes and boot snapshots that are not used any more; return the bytes freed.

        With ``dry_run``, only return them.
        """

    def recover(self, *, dry_run: bool = False) -> list[str]:
        """Clear what killed bakes, test clusters and publications left; return one line for each thing done.

        With ``dry_run``, return the same lines (without those of :meth:`damaged`) and change nothing.
        """
