"""Revocation: images that must not be used any more, and all that was baked from them.

A revocation follows the content: it holds for every image whose name ends with the same digest, also if that is baked
again. From its time on, no promotion of such an image is proven, and the images become OBSOLETE.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import NamedTuple

from bakery.errors import RevokedImage
from bakery.library.base import ImageRecord, ImageState, Library, Listing, Proof, Revocation
from bakery.library.derived import content, derived, derived_name
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.plan.image_labels import ADOPTED_LABEL

Waits = Callable[[str], bool]  # whether images of the family wait for an approval, or for others in a roll-out


class Move(NamedTuple):
    """A family that points at an image that must not be used.

    It points at ``now``, and will at ``to`` ("" for none), which has to be made from ``source`` if that is not empty.
    """

    now: str
    to: str
    source: str = ""


@dataclass(frozen=True)
class Enforced:
    """What was done.

    ``moved`` maps families to the images that they pointed at and point at now ("" for none); ``obsolete`` are the
    images that became OBSOLETE.
    """

    moved: Mapping[str, tuple[str, str]]
    obsolete: tuple[str, ...]


@dataclass(frozen=True)
class Due:
    """What revocations in force ask for, in the library ``held``.

    ``revoked`` are these revocations (:func:`in_force`), ``names`` the images (:func:`affected`), and ``moves`` the
    families that point at one of them.
    """

    held: Listing
    revoked: Mapping[str, Revocation]
    names: Mapping[str, str]
    moves: Mapping[str, Move]

    @property
    def foreseen(self) -> Enforced:
        """What will be done."""
        states = {image.name: image.state for image in self.held.images}
        obsolete = tuple(name for name in self.names if states[name] is not ImageState.OBSOLETE)
        return Enforced({family: (move.now, move.to) for family, move in self.moves.items()}, obsolete)

    def after(self, now: str) -> Listing:
        """Return the library as it will be when that was done at the time ``now``."""
        families = {family: image for family, image in self.held.families.items() if family not in self.moves}
        families |= {family: move.to for family, move in self.moves.items() if move.to}
        newly = {image.name for image in self.held.images if image.state is ImageState.ACTIVE} & self.names.keys()
        states = dict.fromkeys(families.values(), ImageState.ACTIVE) | dict.fromkeys(self.names, ImageState.OBSOLETE)
        made = [
            replace(derived(image, family, now), family=family)
            for family, move in self.moves.items()
            for image in self.held.images
            if image.name == move.source
        ]
        images = [
            replace(image, state=states[image.name]) if image.name in states else image
            for image in (*self.held.images, *made)
        ]
        deprecated = {**self.held.deprecated, **dict.fromkeys(newly, now)}
        return replace(self.held, images=tuple(images), families=families, deprecated=deprecated)


def utc(text: str) -> datetime:
    """Return the time of an RFC 3339 text; without a time zone it is UTC."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def in_force(revocations: Iterable[Revocation], now: str) -> dict[str, Revocation]:
    """Map the :func:`content` of the images that are revoked by now to the earliest revocation."""
    begun = [one for one in revocations if utc(one.at) <= utc(now)]
    return {content(one.image): one for one in sorted(begun, key=lambda one: utc(one.at), reverse=True)}


def revocation_of(library: Library, image: str) -> Revocation | None:
    """Return why the image must not be used any more; None if it may be used. Raises Uncertain."""
    return in_force(library.revocations(), library.now()).get(content(image))


def refusal(image: str, revocation: Revocation, source: str = "") -> RevokedImage:
    """Return the error of a bake: the same inputs would make the same image again.

    With ``source``, that of an image which is taken from the stack of this name.
    """
    own = content(revocation.cause) == content(image)  # perhaps under another name
    family = (image if own else revocation.cause).rpartition("-")[0]
    word = f"set nonce.{family} to another word"
    origin = "" if own else f" was baked from {revocation.cause}, which"
    hint = f"change what {family} is baked from, or {word}" + ("; then it is baked again, too" if origin else "")
    if source:
        hint = f"promote another image in {source}, or withdraw it here: bakery revoke {revocation.cause} --undo"
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


def heir(family: str, images: Sequence[ImageRecord], taken: Collection[str], *, waits: bool = False) -> str:
    """Return the newest proven image of the family that is not ``taken`` (revoked, or another family's), or "".

    One whose images wait for something gets one that it has had, and none gets an adopted image that was never pinned:
    a revocation releases nothing.
    """
    fitting = [
        image.name
        for image in images
        if (image.family == family or (image.candidate_for == family and not waits and not _foreign(image)))
        and image.proof is Proof.PASSED
        and image.state in (ImageState.ACTIVE, ImageState.DEPRECATED)
        and image.name not in taken
    ]
    return fitting[-1] if fitting else ""


def _foreign(image: ImageRecord) -> bool:
    """Return whether the image was made elsewhere."""
    return ADOPTED_LABEL in image.labels


def moves(held: Listing, names: Collection[str], waits: Waits) -> dict[str, Move]:
    """Map the families that point at one of ``names``, which must not be used, to what they get.

    That is the newest proven image of the family, or nothing. For a channel without one, an image is made from an older
    one of its recipe than it had.
    """
    taken, found = {*names, *held.families.values()}, {}
    for family, name in held.families.items():
        if name in names:
            to = heir(family, held.images, taken, waits=waits(family))
            source = "" if to else _older(name, held.images, names)
            found[family] = Move(name, to or (derived_name(source, family) if source else ""), source)
    return found


def _older(name: str, images: Sequence[ImageRecord], names: Collection[str]) -> str:
    """Return the newest proven image of a channel's recipe that is older than the one that ``name`` was made from."""
    known = {image.name: image for image in images}
    source = known.get(known[name].source)
    if source is None or source.name == name:
        return ""
    return heir(source.candidate_for, images[: images.index(source)], names)


def revoke(library: Library, image: str, reason: str, at: str) -> tuple[Revocation, ...]:
    """Record the revocation of the image and of all that was baked from it.

    Return what was recorded. Idempotent; raises BakeryError, Uncertain.
    """
    now, images = library.now(), library.images()
    names = [image, *(name for name in affected(images, {content(image)}) if name != image)]
    recorded = tuple(Revocation(name, image, reason, at, now) for name in names)
    for one in recorded:
        _record(library, one)
    return recorded


def due(library: Library, waits: Waits = lambda _family: False, ahead: Iterable[Revocation] = ()) -> Due | None:
    """Return what the library's revocations, and those of ``ahead``, ask for by now; None if none is in force.

    Raises BakeryError, Uncertain.
    """
    revoked = in_force([*library.revocations(), *ahead], library.now())
    if not revoked:
        return None
    held = library.listing()
    names = affected(held.images, revoked.keys())
    return Due(held, revoked, names, moves(held, names, waits))


def enforce(library: Library, waits: Waits = lambda _family: False) -> Enforced:
    """Move families away from images that are revoked by now, and make these OBSOLETE. Idempotent.

    See :func:`moves` for where a family goes; it is the stacks' turn then. Also records images that were baked from
    revoked ones since. Raises BakeryError, Uncertain.
    """
    asked = due(library, waits)
    if asked is None:
        return Enforced({}, ())
    for name, origin in asked.names.items():
        if content(name) not in asked.revoked:
            cause = asked.revoked[origin]
            _record(library, Revocation(name, cause.cause, cause.reason, cause.at, library.now()))
    for family, move in asked.moves.items():
        why = f"{move.now} is revoked: {asked.revoked[asked.names[move.now]].reason}"
        _move(library, family, move, why)
    return replace(
        asked.foreseen, obsolete=tuple(name for name in asked.foreseen.obsolete if _make_obsolete(library, name))
    )


def _record(library: Library, one: Revocation) -> None:
    library.revoke(one)
    why = one.reason if one.image == one.cause else f"it was baked from {one.cause}: {one.reason}"
    library.history.record(HistoryEntry(one.image.rpartition("-")[0], HistoryEvent.REVOKED, one.image, why=why))


def _move(library: Library, family: str, move: Move, why: str) -> None:
    if move.source:
        library.derive(move.source, family)
    if move.to:
        library.promote(move.to, family, why=why)
    else:
        library.unpromote(move.now, family, force=True, why=why)


def _make_obsolete(library: Library, name: str) -> bool:
    """Make an image OBSOLETE; return False if it is gone."""
    library.deprecate(name)
    image = library.find(name)
    return image is not None and library.set_state(image, ImageState.OBSOLETE) is not None
