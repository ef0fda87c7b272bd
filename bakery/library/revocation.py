"""Revocation: images that must not be used any more, and all that was baked from them.

A revocation follows the content: it holds for every image whose name ends with the same digest, also if that is baked
again. From its time on, no promotion of such an image is proven, and the images become OBSOLETE.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from bakery.errors import RevokedImage
from bakery.library.base import ImageRecord, ImageState, Library, Proof, Revocation


@dataclass(frozen=True)
class Enforced:
    """What was done.

    ``moved`` maps families to the images that they pointed at and point at now ("" for none); ``obsolete`` are the
    images that became OBSOLETE.
    """

    moved: Mapping[str, tuple[str, str]]
    obsolete: tuple[str, ...]


def content(image: str) -> str:
    """Return the end of an image's name, which is the beginning of its digest."""
    return image.rpartition("-")[2]


def utc(text: str) -> datetime:
    """Return the time of an RFC 3339 text; without a time zone it is UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def in_force(revocations: Iterable[Revocation], now: str) -> dict[str, Revocation]:
    """Map the :func:`content` of the images that are revoked by now to the earliest revocation."""
    due = [one for one in revocations if utc(one.at) <= utc(now)]
    return {content(one.image): one for one in sorted(due, key=lambda one: utc(one.at), reverse=True)}


def revocation_of(library: Library, image: str) -> Revocation | None:
    """Return why the image must not be used any more; None if it may be used. Raises Uncertain."""
    return in_force(library.revocations(), library.now()).get(content(image))


def refusal(image: str, revocation: Revocation) -> RevokedImage:
    """Return the error of a bake: the same inputs would make the same image again."""
    family = revocation.cause.rpartition("-")[0]
    word = f"pulumi config set --path image-bakery:nonce.{family} <another word>"
    origin = "" if content(revocation.cause) == content(image) else f" was baked from {revocation.cause}, which"
    hint = f"change what {family} is baked from, or: {word}" + ("; then it is baked again, too" if origin else "")
    return RevokedImage(f"{image}{origin} is revoked: {revocation.reason}", hint=hint)


def affected(images: Sequence[ImageRecord], revoked: Collection[str]) -> dict[str, str]:
    """Map the images with a revoked content, and all that were baked from them, to the revoked content.

    ``revoked`` has contents, see :func:`content`. Parents come before their children.
    """
    found = {image.name: content(image.name) for image in images if content(image.name) in revoked}
    while new := {
        image.name: found[image.parent] for image in images if image.parent in found and image.name not in found
    }:
        found |= new
    return found


def heir(family: str, images: Sequence[ImageRecord], taken: Collection[str]) -> str:
    """Return the newest proven image of the family that is not ``taken`` (revoked, or another family's), or ""."""
    fitting = [
        image.name
        for image in images
        if family in (image.candidate_for, image.family)
        and image.proof is Proof.PASSED
        and image.state in (ImageState.ACTIVE, ImageState.DEPRECATED)
        and image.name not in taken
    ]
    return fitting[-1] if fitting else ""


def revoke(library: Library, image: str, reason: str, at: str) -> tuple[Revocation, ...]:
    """Record the revocation of the image and of all that was baked from it, and enforce it if ``at`` has come.

    Return what was recorded. Idempotent; raises BakeryError, Uncertain.
    """
    now, images = library.now(), library.images()
    names = [image, *(name for name in affected(images, {content(image)}) if name != image)]
    recorded = tuple(Revocation(name, image, reason, at, now) for name in names)
    for one in recorded:
        library.revoke(one)
    return recorded


def enforce(library: Library) -> Enforced:
    """Move families away from images that are revoked by now, and make these OBSOLETE. Idempotent.

    A family gets its newest proven image that is not revoked, or none; it is the stacks' turn then. For a channel
    without one, an image is made from an older one of its recipe. Also records images that were baked from revoked ones
    since. Raises BakeryError, Uncertain.
    """
    revoked = in_force(library.revocations(), library.now())
    if not revoked:
        return Enforced({}, ())
    held = library.listing()
    images, pointers = held.images, held.families
    names = affected(images, revoked.keys())
    for name, origin in names.items():
        if content(name) not in revoked:
            cause = revoked[origin]
            library.revoke(Revocation(name, cause.cause, cause.reason, cause.at, library.now()))
    moved = {}
    for family, name in pointers.items():
        if name in names:
            successor = heir(family, images, {*names, *pointers.values()}) or _derived(
                library, family, name, images, names
            )
            moved[family] = (name, _move(library, family, name, successor))
    states = {image.name: image for image in images}
    others = (name for name in names if states[name].state is not ImageState.OBSOLETE)
    return Enforced(moved, tuple(name for name in others if _make_obsolete(library, name)))


def _derived(library: Library, family: str, name: str, images: Sequence[ImageRecord], revoked: Collection[str]) -> str:
    """Return an image for a channel that has no other: of the newest proven image that is older than the one it had."""
    known = {image.name: image for image in images}
    source = known.get(known[name].source)
    if source is None or source.name == name:
        return ""
    older = heir(source.candidate_for, images[: images.index(source)], revoked)
    return library.derive(older, family) if older else ""


def _move(library: Library, family: str, name: str, successor: str) -> str:
    if successor:
        library.promote(successor, family)
    else:
        library.unpromote(name, family, force=True)
    return successor


def _make_obsolete(library: Library, name: str) -> bool:
    """Make an image OBSOLETE; return False if it is gone."""
    library.deprecate(name)
    image = library.find(name)
    return image is not None and library.set_state(image, ImageState.OBSOLETE) is not None
