"""The reasons of ``bakery plan`` in a preview, logged for the resource that they concern."""

from collections.abc import Sequence

import pulumi

from bakery.backends import backend
from bakery.preview import snapshot
from bakery.preview.model import Action, Decision
from bakery.resources.program import Declared
from bakery.settings import Settings


def log_reasons(settings: Settings, declared: Sequence[Declared]) -> None:
    """Log why each image is not kept, and each pin, in a preview only; an ``up`` shows what it does."""
    if not pulumi.runtime.is_dry_run():
        return
    held = snapshot.read(settings, backend(settings).existing_library, [one.image for one in declared])
    for problem in (*held.problems, *held.refused(one.image for one in declared)):
        pulumi.log.warn(str(problem))
    for one, decision in zip(declared, held.decide([one.image for one in declared], settings.pins), strict=True):
        if decision.action is not Action.KEEP or decision.pin:
            pulumi.log.info(str(decision), _resource(one, decision))


def _resource(one: Declared, decision: Decision) -> pulumi.Resource:
    if decision.action is Action.TEST and one.tested is not None:
        return one.tested
    return one.promoted if decision.action in (Action.ADOPT, Action.KEEP) else one.baked
