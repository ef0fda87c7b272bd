"""Why something happens to an image, in a preview: the words of ``bakery plan``, below the resource they are about."""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from bakery.backends import backend
from bakery.preview import snapshot
from bakery.preview.model import Action, Decision
from bakery.resources.program import Declared
from bakery.settings import Settings


def log_reasons(settings: Settings, declared: Sequence[Declared]) -> None:
    """Say of each image that is not kept why; nothing but in a preview, as an ``up`` shows what it does."""
    if not pulumi.runtime.is_dry_run():
        return
    held = snapshot.read(settings, backend(settings).existing_library, [one.image for one in declared])
    for problem in held.problems:
        pulumi.log.warn(str(problem))
    for one, decision in zip(declared, held.decide([one.image for one in declared]), strict=True):
        if decision.action is not Action.KEEP:
            pulumi.log.info(str(decision), _about(one, decision))


def _about(one: Declared, decision: Decision) -> pulumi.Resource:
    """The resource that a decision is about."""
    if decision.action is Action.TEST and one.tested is not None:
        return one.tested
    return one.promoted if decision.action is Action.ADOPT else one.baked
