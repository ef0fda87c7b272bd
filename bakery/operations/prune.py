"""Deletes images that are no longer wanted: ``bakery prune``."""

from bakery.backends.base import Backend
from bakery.errors import InputError, errors_among
from bakery.host import space
from bakery.library import retention, revocation
from bakery.library.retention import Pruned
from bakery.paths import StatePaths
from bakery.preview.plan_report import plan_report


def prune(backend: Backend, *, dry_run: bool = False) -> Pruned:
    """Enforce revocations that are due, and delete what retention allows; with ``dry_run``, change nothing.

    Images that the plan contains, bakes from or pins are kept.
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
    library = backend.library()
    if not dry_run:
        revocation.enforce(library)
    days = backend.settings.retention_days
    return retention.prune(library, days, planned=planned, dry_run=dry_run)
