"""Deletes images that are no longer wanted: ``bakery prune``."""

from bakery.backends.base import Backend
from bakery.errors import InputError, errors_among
from bakery.host import space
from bakery.library import retention
from bakery.library.retention import Pruned
from bakery.paths import StatePaths
from bakery.preview.plan_report import plan_report


def prune(backend: Backend, *, dry_run: bool = False) -> Pruned:
    """Delete what retention allows, except images that the plan contains, bakes from or pins; ``dry_run``: nothing.

    Raises InputError if the plan has errors: an image that a broken recipe wants must not be deleted. Raises Uncertain.
    """
    plan = plan_report(backend.settings)
    if errors_among(plan.problems):
        raise InputError(plan.problems)
    planned = {name for decision in plan.decisions for name in (decision.image.name, decision.image.base.name)}
    planned |= {*backend.settings.pins.values()}
    state = StatePaths(backend.settings.state)
    if state.reserve.exists() and not dry_run and space.lack(state.library):
        state.reserve.unlink()
    days = backend.settings.retention_days
    return retention.prune(backend.library(), days, planned=planned, dry_run=dry_run)
