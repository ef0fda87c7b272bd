"""Bakes images of the plan without the engine: ``bakery bake``, which triggers run too."""

import difflib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from bakery.backends import backend
from bakery.errors import (
    BakeryError,
    InputError,
    Interrupted,
    ParentFailed,
    Problem,
    UnknownFamily,
    errors_among,
    from_os_error,
)
from bakery.host.revision import revision
from bakery.library.base import Library
from bakery.library.derived import content
from bakery.library.revocation import in_force, refusal
from bakery.lock import file as lock_file
from bakery.lock.model import Lock
from bakery.orders.model import bake_order
from bakery.ovens.base import Bake, Oven
from bakery.plan.model import ImagePlan, lineage
from bakery.plan.plan import by_family, draft
from bakery.preview.proven import proven_digests
from bakery.progress.activity import Activity
from bakery.recipe.model import Recipes
from bakery.recipe.roots import recipes_of
from bakery.settings import Settings

LOOK_SECONDS = 0.5
Watch = Callable[[ImagePlan], AbstractContextManager[Activity]]


@dataclass(frozen=True)
class Baked:
    """The result for one image: its ``bake``, or the ``error`` that prevented it."""

    image: ImagePlan
    bake: Bake | None = None
    error: BakeryError | None = None


def planned(settings: Settings, families: Sequence[str], *, locked: bool = True) -> tuple[ImagePlan, ...]:
    """Return the plan's images of these families and all images they are based on, parents before children.

    The stack does not have to select them. Raises UnknownFamily, or InputError with every problem of their packages;
    ``locked`` as in :func:`bakery.plan.plan.draft`.
    """
    recipes = recipes_of(settings)
    lock, commit = lock_file.read(settings.lock), revision(settings.packages)
    proven = proven_digests(backend(settings).existing_library)
    packages = _packages(settings, recipes, lock, families)
    plan = draft(replace(settings, select=packages), recipes, lock, commit, locked=locked, proven=proven)
    if errors := errors_among(plan.problems):
        raise InputError(errors)
    images = by_family(plan)
    wanted = {image.family for family in families if family in images for image in lineage(images[family], images)}
    return tuple(image for image in plan.images if image.family in wanted)


def _packages(settings: Settings, recipes: Recipes, lock: Lock, families: Sequence[str]) -> tuple[str, ...]:
    """Return the packages of the families. Raises UnknownFamily, with all errors: a broken recipe hides its family."""
    plan = draft(replace(settings, select=()), recipes, lock, locked=False)
    known = {image.family: image.package for image in plan.images}
    unknown = [family for family in dict.fromkeys(families) if family not in known]
    if unknown:
        raise UnknownFamily([*(unknown_family(family, known) for family in unknown), *errors_among(plan.problems)])
    return tuple(sorted({known[family] for family in families}))


def unknown_family(family: str, known: Mapping[str, str]) -> Problem:
    """Return the problem of a family that no recipe makes; ``known`` maps families to packages."""
    variants = sorted(name for name, package in known.items() if package == family)
    close = variants or difflib.get_close_matches(family, known) or sorted(known)
    hint = f"known: {', '.join(close)}" if close else "add a recipe; see bakery plan --all"
    return Problem("command line", 1, f"the plan has no image family {family}", hint)


def refuse_revoked(library: Library | None, images: Sequence[ImagePlan]) -> None:
    """Raise InputError with each image that the library has a revocation of, and Uncertain."""
    revoked = in_force(library.revocations(), library.now()) if library is not None else {}
    errors = [refusal(image.name, revoked[end]) for image in images if (end := content(image.name)) in revoked]
    if errors:
        raise InputError(Problem("library", 1, error.message, error.hint) for error in errors)


def bake_all(images: Sequence[ImagePlan], oven: Oven, watch: Watch, replay: Callable[[str], str]) -> tuple[Baked, ...]:
    """Bake the images, each as soon as its parent exists; a failure does not stop the others.

    ``watch`` provides the activity of an image while it is baked. ``replay`` returns the command that bakes a family
    again, for errors that have no such command yet.
    """
    if not images:
        return ()
    begun: dict[str, Future[Baked]] = {}
    with ThreadPoolExecutor(len(images), thread_name_prefix="bake") as pool:
        for image in images:  # a thread for each: an image that waits for its parent blocks no other
            begun[image.name] = pool.submit(_bake, image, begun.get(image.base.name), oven, watch)
        while wait(begun.values(), timeout=LOOK_SECONDS).not_done:
            pass  # only the main thread handles signals, and only when it wakes up
    done = tuple(future.result() for future in begun.values())
    for one in done:
        if one.error is not None and not one.error.replay:
            one.error.replay = replay(one.image.family)
    return done


def _bake(image: ImagePlan, parent: Future[Baked] | None, oven: Oven, watch: Watch) -> Baked:
    before = parent.result() if parent is not None else None
    if before is not None and isinstance(before.error, Interrupted):
        return Baked(image, error=before.error)
    if before is not None and before.bake is None:
        return Baked(image, error=ParentFailed(f"{image.name} was not baked: its parent {image.base.name} is missing"))
    try:
        with watch(image) as activity:
            return Baked(image, oven.bake(bake_order(image), activity))
    except BakeryError as error:
        return Baked(image, error=error)
    except OSError as error:
        return Baked(image, error=from_os_error(error))
