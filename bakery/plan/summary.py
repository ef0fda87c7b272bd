"""What a report says about an image: the part of the plan that :mod:`bakery.plan.summaries` keeps in the cache.

It is separate from :mod:`bakery.plan.model` because ``bakery plan`` without changes needs nothing else, and creating
the classes of a module takes longer than reading the recipes of a small checkout.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Base(NamedTuple):
    """The image that a bake starts from.

    For a parent (another planned image) ``name`` is its image name and ``digest`` its digest; for an external base
    image ``name`` is the resolved image of the lock file and ``digest`` the identity found there. ``project`` is empty
    for a parent. ``origin`` is where a cloud image comes from, see :class:`bakery.lock.model.LockedBase`.
    """

    family: str
    name: str
    digest: str
    project: str = ""
    origin: str = ""

    @property
    def external(self) -> bool:
        """Whether the image comes from outside of the plan."""
        return bool(self.project)

    @property
    def words(self) -> str:
        """An external base for people: its family, its version and where it comes from."""
        kinds = {"inrelease": "from the Debian archive", "id": "from Compute Engine", "unlocked": "which is not locked"}
        kind = self.digest.partition(":")[0]
        whence = f"from {self.origin}" if self.origin else kinds.get(kind, "from bakery.lock")
        return f"base {self.project}/{self.family}: {self.name}, {whence}"


class Taken(NamedTuple):
    """Where an image comes from that the stack does not bake: ``name`` in the library of the stack ``stack``.

    ``proofs`` maps it and its ancestors, by their names in the own library, to what a promotion requires, see
    :func:`bakery.library.proof.missing_proof`. ``words`` are origin, proof and age for people.
    """

    stack: str
    name: str
    proofs: Mapping[str, str]
    words: str


@dataclass(frozen=True, kw_only=True)
class ImageSummary:
    """What a plan's report says of an image.

    ``inputs`` is the manifest of the digest for people: file, variable or base to a short digest or value.
    ``tests_digest`` is empty for an image without tests, ``tests_inputs`` is the manifest of that digest.
    ``partitions`` are the names of the partitions that use the image in the output ``rcc_tf``, ``owners`` who
    answers for the recipe. ``taken`` says where the image comes from if the stack does not bake it. ``rules`` is the
    generation of the rules that made the digest, see :func:`bakery.plan.digest.identify`; 0 if it was taken.
    """

    package: str
    variant: str
    family: str
    name: str
    digest: str
    base: Base
    inputs: Mapping[str, str]
    tests_digest: str = ""
    tests_inputs: Mapping[str, str] = field(default_factory=dict)
    partitions: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    taken: Taken | None = None
    rules: int = 0
