"""Copies in other projects follow the library: where families point, and what becomes of images.

A copy is made when its family is promoted, see :meth:`~bakery.library.base.Library.promote`. What is done without an
engine (a revocation, retention) is followed here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from bakery.errors import BakeryError
from bakery.library.base import CopiesIn, CopyProject, ImageState, Library, Listing
from bakery.settings.copies import address

ORDER = tuple(ImageState)
REVOKED = "the image before must not be used any more"  # the reason in the history


@dataclass(frozen=True)
class CopyStep:
    """A copy that is moved to a state, or a ``family`` of the project that is pointed at ``image`` ("" for none).

    ``before`` is what the family points at. ``why`` is a message; it says why a copy was kept if ``to`` is None.
    """

    project: str
    image: str
    to: ImageState | None = None
    family: str = ""
    before: str = ""
    why: str = ""

    def __str__(self) -> str:
        if self.family:
            return f"family {address(self.family, self.project)}: {self.before} -> {self.image or 'no image'}"
        return f"copy {self.image} in {self.project}: {self.to or 'kept'}: {self.why}"


@dataclass(frozen=True)
class Followed:
    """The steps that were taken (or would be), and why some could not be taken."""

    steps: tuple[CopyStep, ...] = ()
    problems: tuple[BakeryError, ...] = ()


def steps(copies: CopiesIn, held: Listing) -> Iterator[CopyStep]:
    """Yield what has to be done in a project: families first. ``held`` is the library.

    A family is moved only away from an image that must not be used any more, to where the library's own family points.
    """
    originals = {image.name: image for image in held.images}
    names = {image.name for image in copies.images}
    pointers = dict(copies.families)
    for family, now in copies.families.items():
        if now in names and now in originals and originals[now].state is ImageState.OBSOLETE:
            pointers[family] = held.families.get(family, "")
            yield CopyStep(copies.project, pointers[family], family=family, before=now)
    for image in copies.images:
        to = originals[image.name].state if image.name in originals else ImageState.DELETED
        if image.name not in pointers.values() and ORDER.index(to) > ORDER.index(image.state):
            yield CopyStep(copies.project, image.name, to, why=f"its original is {to}")


def follow(library: Library, ahead: Mapping[str, ImageState] | None = None, *, dry_run: bool = False) -> Followed:
    """Let all copies follow the library; ``ahead`` are states that a dry run would have given. Raises Uncertain.

    What cannot be done in one project does not stop the others. Idempotent.
    """
    projects = library.copies(library.wants())
    if not projects:
        return Followed()
    held = _ahead(library.listing(), ahead or {})
    done: list[CopyStep] = []
    problems: list[BakeryError] = []
    for project in projects:
        try:
            done += [step if dry_run else _apply(library, project, step) for step in steps(project.look(), held)]
        except BakeryError as error:
            problems.append(error)
    return Followed(tuple(done), tuple(problems))


def _ahead(held: Listing, ahead: Mapping[str, ImageState]) -> Listing:
    images = [replace(image, state=ahead.get(image.name, image.state)) for image in held.images]
    return replace(held, images=tuple(image for image in images if image.state is not ImageState.DELETED))


def _apply(library: Library, project: CopyProject, step: CopyStep) -> CopyStep:
    if step.to is not None:
        kept = project.move(step.image, step.to)
        return replace(step, to=None, why=kept) if kept else step
    if step.image:
        library.promote(step.image, address(step.family, step.project), why=REVOKED)
    else:
        library.unpromote(step.before, address(step.family, step.project), force=True, why=REVOKED)
    return step
