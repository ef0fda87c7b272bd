"""Takes the proven image of one stack into the library of another, and pins it there: ``bakery release``."""

from bakery.backends.base import Backend
from bakery.backends.source import take_all
from bakery.errors import BakeryError
from bakery.library.base import Library
from bakery.library.derived import content
from bakery.library.proof import look_up
from bakery.library.revocation import in_force
from bakery.operations.history import checked
from bakery.operations.promote import Change, fitting, planned_images, promote
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import proofs
from bakery.settings.source_stack import translated


def release(source: Backend, target: Backend, family: str, image: str = "", why: str = "") -> Change:
    """Copy an image of ``source`` and its ancestors, and pin the family to it in ``target``.

    Without ``image``, it is the one that the family points at in ``source``. ``family`` is its name in ``target``: on
    Google Cloud the prefixes of the stacks may differ.

    Raises BakeryError if an image lacks its proof or is revoked in one of the two libraries, UnknownFamily, what
    :meth:`Backend.take` and :func:`bakery.operations.promote.promote` raise, and Uncertain.
    """
    here, there = source.settings.stack, target.settings.stack
    if source.settings.library_place == target.settings.library_place:
        hint = f"pin the image there: bakery promote {family} IMAGE --stack {there}"
        raise BakeryError(f"the stacks {here} and {there} share a library, so there is nothing to copy", hint=hint)
    why = checked(why) or f"released from the stack {here}"
    recipe = planned_images(target.settings, family)[family].family
    recipe = translated(recipe, target.settings.google, source.settings.google)
    planned, held = planned_images(source.settings, recipe), source.existing_library()
    listed = held.listing() if held else None
    if held is None or listed is None or not (image or recipe in listed.families):
        raise BakeryError(f"{recipe} points at no image of the stack {here}", hint=f"run: pulumi up --stack {here}")
    snapshot = LibrarySnapshot(listed.images, listed.families)
    name = fitting(held, recipe, image) if image else snapshot.source(recipe)
    required = proofs(name, planned, snapshot)
    if missing := look_up(held, required):
        hint = f"test it again: bakery test {name} --stack {here}; or release another image: bakery library"
        raise BakeryError(f"{name} of the stack {here} cannot be released: {missing}", hint=hint)
    library = target.library()
    _refuse_revoked(library, there, list(required))
    held_there = {one: tests for one, tests in required.items() if one in snapshot.records}
    copied = take_all(target, source, held_there, why)
    own = translated(name, source.settings.google, target.settings.google)
    change = promote(target, family, own, why)
    done = {True: "copied", False: "there already"}
    lines = [f"{one}: {done[new]}, with its tests, from the stack {here}" for one, new in copied.items()]
    return Change(change.report, (*lines, *change.notes))


def _refuse_revoked(library: Library, stack: str, names: list[str]) -> None:
    revoked = in_force(library.revocations(), library.now())
    for name in names:
        if revocation := revoked.get(content(name)):
            hint = f"release another image, or: bakery revoke {revocation.cause} --undo --stack {stack}"
            raise BakeryError(f"{name} is revoked in the stack {stack}: {revocation.reason}", hint=hint)
