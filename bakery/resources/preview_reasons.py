"""The reasons of ``bakery plan`` in a preview, logged for the resource that they concern."""

from collections.abc import Mapping, Sequence

import pulumi

from bakery.backends import backend
from bakery.errors import AccessRefused, InputError, Uncertain, errors_among
from bakery.fluid_run.clusters.run_spec import machines
from bakery.plan.model import ImagePlan
from bakery.preview import snapshot
from bakery.preview.cluster_fit import unfit_cluster, unfit_promotions
from bakery.preview.copies import copies, everywhere
from bakery.preview.limits import over_limits
from bakery.preview.model import Action, Decision, Target, given_up
from bakery.preview.proven import proven_digests
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import channels, targets
from bakery.resources.program import Declared
from bakery.settings import Settings


def damaged(settings: Settings) -> list[str]:
    """Return a line for each damaged image, or one if the library can't be read: the resources are then kept."""
    try:
        return backend(settings).damaged(contents=False)
    except Uncertain as error:
        return [f"the library can't be read: {error}"]


def proven(settings: Settings) -> frozenset[str]:
    """Return the digests that are kept under old rules, see :mod:`bakery.preview.proven`. Raises Uncertain.

    None if the library refuses access: a new project has no services and grants yet, and no image.
    """
    try:
        return proven_digests(backend(settings).existing_library)
    except AccessRefused:
        return frozenset()


def log_reasons(settings: Settings, declared: Sequence[Declared]) -> None:
    """Log why each image is not kept or not promoted, in a preview only; an ``up`` shows what it does.

    Raises InputError for images that cannot be in one cluster. A promotion that an ``up`` refuses is only a warning, as
    all else continues.
    """
    if not pulumi.runtime.is_dry_run():
        return
    held = snapshot.read(settings, backend(settings).existing_library, [one.image for one in declared])
    for problem in (*held.problems, *held.warnings, *held.refused(one.image for one in declared)):
        pulumi.log.warn(str(problem))
    stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    planned = [one.image for one in declared]
    for refusal in backend(settings).refused(planned):
        pulumi.log.warn(refusal)
    for family, image in held.given_up(stack, everywhere(settings, planned)).items():
        pulumi.log.info(given_up(family, image))
    goals = targets(settings, planned, held)
    decisions = held.decide(planned, goals)
    by_action = [(one.image, decision.action) for one, decision in zip(declared, decisions, strict=True)]
    baked = [image for image, action in by_action if action is Action.BAKE]
    tested = [image for image, action in by_action if action in (Action.BAKE, Action.TEST) and image.tests]
    sizes = {image.name: len(machines(image.tests.suite.cluster)) for image in tested if image.tests}
    limited = over_limits(settings, decisions, held.times, lambda image: sizes[image.name])
    for problem in (*backend(settings).beyond_quotas(baked, tested), *limited):
        pulumi.log.warn(str(problem))
    for line in sorted({image.base.words for image in baked if image.base.origin}):
        pulumi.log.info(line)
    for one, decision in zip(declared, decisions, strict=True):
        if decision.action is not Action.KEEP or decision.reasons:
            pulumi.log.info(str(decision), _resource(one, decision))
    for channel in channels(settings, planned, held, goals) if settings.channels else ():
        if channel.action is not Action.KEEP or channel.reasons:
            pulumi.log.info(str(channel))
    for copy in copies(settings, planned, held, goals):
        if copy.action is not Action.KEEP:
            pulumi.log.info(str(copy))
    _log_fit(settings, planned, held, goals)


def _log_fit(
    settings: Settings, planned: Sequence[ImagePlan], held: LibrarySnapshot, goals: Mapping[str, Target]
) -> None:
    """Log what is not compared and which promotions an ``up`` refuses; raise InputError for an impossible cluster."""
    together = unfit_cluster(settings, planned, held, goals)
    errors = errors_among(together)
    for problem in (*unfit_promotions(settings, planned, held, goals), *(one for one in together if one not in errors)):
        pulumi.log.warn(str(problem))
    if errors:
        raise InputError(errors)


def _resource(one: Declared, decision: Decision) -> pulumi.Resource:
    if decision.action is Action.TEST and one.tested is not None:
        return one.tested
    unbaked = decision.action in (Action.ADOPT, Action.KEEP)
    return one.promoted if unbaked and one.promoted is not None else one.baked
