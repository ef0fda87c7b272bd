"""The image library: the protocol that the local and the Compute Engine library implement, and its values."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from bakery.plan.image_labels import SOURCE_LABEL

if TYPE_CHECKING:
    from bakery.library.history import History
    from bakery.results.model import RunResult


class ImageState(StrEnum):
    """State of an image, as Compute Engine defines it."""

    ACTIVE = "ACTIVE"
    DEPRECATED = "DEPRECATED"
    OBSOLETE = "OBSOLETE"
    DELETED = "DELETED"


class Proof(StrEnum):
    """Verdict of the last Fluid-Run of an image."""

    UNTESTED = "untested"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class ImageRecord:
    """One image of the library.

    ``candidate_for`` is the family that the image was baked for; ``family`` is the family that it was promoted into
    (empty for a candidate). Times are RFC 3339 in UTC. ``size`` is in bytes, ``bake_seconds`` is 0.0 if unknown.
    ``inputs`` is the manifest of the digest, see ImagePlan. ``location`` is a file path or a self link.
    """

    name: str
    digest: str
    package: str
    variant: str
    candidate_for: str
    created: str
    family: str = ""
    state: ImageState = ImageState.ACTIVE
    replacement: str = ""
    parent: str = ""
    proof: Proof = Proof.UNTESTED
    size: int = 0
    bake_seconds: float = 0.0
    location: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> str:
        """The image that was baked and tested: for a channel's image that of the recipe's family, else this one."""
        return self.labels.get(SOURCE_LABEL, self.name)

    @property
    def channel(self) -> str:
        """The name of the channel that this is an image of; empty if it is none's."""
        recipe = self.source.rpartition("-")[0]
        return "" if self.source == self.name else self.candidate_for.removeprefix(f"{recipe}-")


@dataclass(frozen=True)
class Want:
    """A stack wants the family to point at the image; the library has at most one for each stack and family.

    ``stack`` is ``<project>/<stack>``. ``token`` names the resource that registered it: if a resource is replaced by
    one of the same family, the deletion of the former must not withdraw what the latter wants.
    """

    stack: str
    family: str
    image: str
    token: str


@dataclass(frozen=True)
class Revocation:
    """An image must not be used from the time ``at`` on; the library has at most one for each image and cause.

    ``cause`` is the image that a person revoked: ``image`` itself, or an ancestor of it. ``reason`` is that person's.
    Times are RFC 3339 in UTC; ``recorded`` is that of the record.
    """

    image: str
    cause: str
    reason: str
    at: str
    recorded: str


@dataclass(frozen=True)
class Listing:
    """What one look at the whole library finds.

    ``images`` are those of :meth:`Library.images`, whose ``inputs`` may be empty, and ``families`` is
    :meth:`Library.families`. ``deprecated`` maps images to the time they became DEPRECATED (RFC 3339), if known;
    OBSOLETE images keep that time. ``strangers`` maps ACTIVE images without the bakery's labels to the families they
    are in, oldest first: if one is newer than the image that was promoted, its family points at it.
    """

    images: tuple[ImageRecord, ...] = ()
    families: Mapping[str, str] = field(default_factory=dict)
    deprecated: Mapping[str, str] = field(default_factory=dict)
    strangers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CopiesIn:
    """What one look at another project finds: the copies of the library's images, oldest first.

    ``families`` maps the families that have copies to the images they point at, which may be no copies.
    """

    project: str
    images: tuple[ImageRecord, ...] = ()
    families: Mapping[str, str] = field(default_factory=dict)


class CopyProject(Protocol):
    """Another project with copies of the library's images. Every method raises Uncertain and BakeryError."""

    @property
    def project(self) -> str:
        """The project's id."""

    def look(self) -> CopiesIn:
        """Return the copies and the families of the project."""

    def move(self, name: str, to: ImageState) -> str:
        """Move a copy to another state; return "", or why it was kept: a family points at it, or it is in use."""


class Library(Protocol):
    """Reads and moves images, and keeps their Fluid-Runs.

    Every method raises Uncertain if the library cannot be read. Only a definite "not found" is None.
    """

    @property
    def history(self) -> History:
        """What was done with the families; promotions and withdrawals record themselves, with the reason ``why``."""

    def find(self, name: str) -> ImageRecord | None:
        """Return the image of that name, whatever its state; None if it certainly does not exist.

        Its ``inputs`` may be empty; :meth:`manifest` reads them.
        """

    def manifest(self, name: str) -> Mapping[str, str]:
        """Return the manifest of an image's digest; empty if it is not known."""

    def images(self) -> Sequence[ImageRecord]:
        """Return all images that carry the bakery's labels, oldest first, without DELETED ones.

        Their ``inputs`` may be empty; :meth:`manifest` reads them.
        """

    def sharing(self, digest: str) -> Sequence[ImageRecord]:
        """Return the images that share the file of this digest, oldest first, for several families.

        Empty where each image has a content of its own.
        """

    def derive(self, source: str, family: str) -> str:
        """Make a candidate of ``family`` with the content and the proof of another family's image, without a bake.

        Returns its name. Idempotent. Raises BakeryError if ``source`` does not exist.
        """

    def families(self) -> Mapping[str, str]:
        """Map each family of a known image to the name of the image it points at: the newest promoted ACTIVE one.

        That may be a stranger, see :class:`Listing`.
        """

    def listing(self) -> Listing:
        """Return images and families as they are at one time, for the price of one list."""

    def copies(self, wants: Iterable[Want]) -> Sequence[CopyProject]:
        """Return the other projects with copies: those of the settings, and those of what the stacks want.

        None in a library on this machine.
        """

    def promote(self, name: str, family: str, want: Want | None = None, why: str = "") -> str:
        """Point ``family`` at the image and deprecate the previous image, with this one as replacement. Idempotent.

        ``want`` is registered with it: a library that is lost in between must not have the one without the other.
        A family of another project (:func:`bakery.settings.copies.address`) gets a copy of the image, at which the
        family of the same name must point.
        Returns the name of the image that it took the place of, or "". Raises BakeryError if the image does not exist.
        """

    def unpromote(self, name: str, family: str, *, force: bool = False, why: str = "") -> bool:
        """Let ``family`` point at nothing, if it still points at ``name`` and (unless ``force``) no stack wants it.

        Returns whether it was changed. No other image takes the place of ``name``.
        """

    def want(self, want: Want) -> None:
        """Register what a stack wants; it replaces what the same stack wanted of that family."""

    def wants(self) -> Sequence[Want]:
        """Return what all stacks want, in any order."""

    def drop_want(self, stack: str, family: str, token: str) -> bool:
        """Withdraw what the stack wants of the family if it was registered with ``token``.

        Returns whether no stack wants the family now.
        """

    def revoke(self, revocation: Revocation) -> None:
        """Record a revocation, and nothing else; see :mod:`bakery.library.revocation`. The image need not exist."""

    def revocations(self) -> Sequence[Revocation]:
        """Return all revocations, also those of the future, in any order."""

    def drop_revocations(self, cause: str) -> Sequence[str]:
        """Withdraw all revocations with this cause; return the names of the images."""

    def deprecate(self, name: str, replacement: str = "") -> bool:
        """Mark the image as DEPRECATED unless a family points at it; return whether it was marked.

        A missing image is not an error.
        """

    def record_test(self, name: str, proof: Proof, tests_digest: str, labels: Mapping[str, str] | None = None) -> None:
        """Record the verdict of the tests with ``tests_digest``, instead of the previous one, and set ``labels``.

        Both also are of the images that were derived from this one. Raises BakeryError if the image does not exist.
        """

    def proofs(self, images: Iterable[ImageRecord]) -> Mapping[str, str]:
        """Map image names to the digest (or its beginning) of the tests of the last recorded verdict.

        ``images`` are records of this library. Images without a recorded verdict are left out.
        """

    def record_run(self, result: RunResult) -> None:
        """Store a Fluid-Run with all of its jobs, whatever its verdict. Idempotent by ``run_id``."""

    def runs(self, image: str | None = None, *, outputs: bool = True) -> Sequence[RunResult]:
        """Return the Fluid-Runs of an image (None: of all images), oldest first.

        ``outputs=False`` leaves out the jobs' stdout and stderr.
        """

    def last_runs(self, images: Collection[str]) -> Mapping[str, RunResult]:
        """Map those of the images that were tested to their newest Fluid-Run, without the jobs' stdout and stderr."""

    def bake_times(self) -> Mapping[str, float]:
        """Map families to the seconds of their last bake, including images that no longer exist.

        Empty if the library does not keep bake times.
        """

    def lease(self, name: str) -> AbstractContextManager[object]:
        """Keep the image from being deleted while the block (or its process) runs.

        Take a lease to boot from the image or to bake on top of it.
        """

    def share(self, name: str, members: Sequence[str], gone: Sequence[str] = ()) -> None:
        """Let ``members`` (as IAM names them) boot from the image, and revoke the access of ``gone``.

        The access of all others stays. This does nothing in a library on this machine.
        """

    def unshared(self, name: str, members: Sequence[str]) -> Sequence[str]:
        """Return those of ``members`` that may not boot from the image, though it was shared with them.

        None in a library on this machine.
        """

    def relabel(self, name: str, labels: Mapping[str, str]) -> None:
        """Set these labels of the image and keep its others. Raises BakeryError if the image does not exist."""

    def now(self) -> str:
        """Return the library's time, RFC 3339 in UTC."""

    def in_use(self) -> Mapping[str, str]:
        """Map the names of the images that must not be deleted now to what uses them ("something boots from it")."""

    def set_state(self, image: ImageRecord, to: ImageState) -> int | None:
        """Move an unwanted image to OBSOLETE or DELETED; return the number of bytes freed.

        Returns None, and changes nothing, if the state is not that of ``image`` any more, a family points at the image,
        or it would be DELETED and is in use.
        """
