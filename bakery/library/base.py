"""What the image library is: the protocol that the local, the Compute Engine and the fake library implement."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bakery.results.model import RunResult


class ImageState(StrEnum):
    """Compute Engine's states of an image."""

    ACTIVE = "ACTIVE"
    DEPRECATED = "DEPRECATED"
    OBSOLETE = "OBSOLETE"
    DELETED = "DELETED"


class Proof(StrEnum):
    """What is known about an image from its Fluid-Runs."""

    UNTESTED = "untested"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class ImageRecord:
    """One image of the library.

    ``candidate_for`` is the family it was baked for; ``family`` the one it was promoted into (empty for a candidate).
    Times are RFC 3339 in UTC, ``size`` is in bytes, ``bake_seconds`` 0.0 when nobody measured. ``inputs`` is the
    digest's manifest, see ImagePlan. ``location`` is a file path or a self link.
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


class Library(Protocol):
    """Reads and moves images. Only a definite "not found" is None; what is not known raises Uncertain."""

    def find(self, name: str) -> ImageRecord | None:
        """The image of that name, whatever its state; None when it is certain that there is none."""
        ...

    def images(self) -> Sequence[ImageRecord]:
        """All images that carry the bakery's labels, oldest first, DELETED ones left out."""
        ...

    def families(self) -> Mapping[str, str]:
        """Family to the name of the image it points at: the newest promoted ACTIVE one."""
        ...

    def promote(self, name: str, family: str) -> str:
        """Point ``family`` at the image; deprecate the one before, with this one as replacement; idempotent.

        Returns the name of the one before, or "". Raises BakeryError when there is no such image.
        """
        ...

    def unpromote(self, name: str, family: str) -> str:
        """Give ``family`` back, only when it still points at ``name``, to the newest proven image that is left.

        Returns the image it points at now, or "" when none is left.
        """
        ...

    def deprecate(self, name: str, replacement: str = "") -> bool:
        """Mark as DEPRECATED, unless a family points at the image; says whether it did. Missing images are fine."""
        ...

    def record_test(self, name: str, proof: Proof, tests_digest: str) -> None:
        """Record what the Fluid-Run of ``tests_digest`` said of the image."""
        ...

    def runs(self, image: str | None = None) -> Sequence[RunResult]:
        """The Fluid-Runs of an image (or of all), oldest first."""
        ...

    def share(self, name: str, members: Sequence[str], gone: Sequence[str] = ()) -> None:
        """Let ``members`` (as IAM names them) boot from the image, and ``gone`` no longer; others keep what they have.

        A library of this machine has nobody to share with.
        """
        ...

    def now(self) -> str:
        """The library's time, RFC 3339 in UTC."""
        ...

    def deprecated_since(self) -> Mapping[str, str]:
        """Image name to when it became DEPRECATED (RFC 3339), as far as that was noted; kept when it is OBSOLETE."""
        ...

    def in_use(self) -> Collection[str]:
        """The names of the images that must not go now, as something boots or bakes from them."""
        ...

    def set_state(self, image: ImageRecord, to: ImageState) -> int | None:
        """Move an image that is no longer wanted to OBSOLETE or DELETED; the bytes that became free.

        None when it is not what ``image`` says any more, or came into use: then nothing was changed.
        """
        ...
