"""Deletes images and layers that are no longer wanted: ``bakery prune``."""

from collections.abc import Mapping
from dataclasses import replace

from bakery.backends.base import Backend
from bakery.errors import InputError, errors_among
from bakery.host import space
from bakery.library import copies, retention, revocation
from bakery.library.base import Library
from bakery.library.retention import Pruned
from bakery.paths import StatePaths
from bakery.preview.plan_report import plan_report
from bakery.settings.retention import Retention


def prune(backend: Backend, *, dry_run: bool = False) -> Pruned:
    """Enforce revocations that are due, and delete what retention allows; with ``dry_run``, change nothing.

    Layers of bakes that are too old, or beyond their budget, are deleted as well.
    Images that the plan contains, bakes from, pins or approves are kept.
    Raises InputError if the plan has errors: an image that a broken recipe wants must not be deleted. Raises Uncertain.
    """
    plan = plan_report(backend.settings)
    if errors_among(plan.problems):
        raise InputError(plan.problems)
    planned = {name: "the plan wants it" for one in plan.decisions for name in (one.image.name, one.image.base.name)}
    planned |= {image: f"the settings pin {family} to it" for family, image in backend.settings.pins.items()}
    planned |= {image: f"it is approved for {family}" for family, image in backend.settings.approved.items()}
    state = StatePaths(backend.settings.state)
    if state.reserve.exists() and not dry_run and space.lack(state.library):
        state.reserve.unlink()
    library, rules = backend.library(), backend.settings.retention
    if not dry_run:
        expire(library, rules)
        revocation.enforce(library)
    done = retention.prune(library, rules, planned=planned, dry_run=dry_run)
    ahead = {step.image.name: step.to for step in done.moved if step.to is not None}
    followed = copies.follow(library, ahead if dry_run else {}, dry_run=dry_run)
    return replace(done, layers=backend.prune_layers(dry_run=dry_run), copies=followed)


def expire(library: Library, rules: Mapping[str, Retention]) -> None:
    """Revoke the images whose fixed date has come, unless they are revoked already. Raises Uncertain."""
    now = library.now()
    dates = {rule.obsolete_on for rule in rules.values()} - {""}
    if not any(revocation.utc(date) <= revocation.utc(now) for date in dates):
        return
    known = revocation.in_force(library.revocations(), now)
    for image in library.images():
        date = retention.rule_of(image.candidate_for, rules).obsolete_on
        if not date or revocation.content(image.name) in known:
            continue
        if revocation.utc(image.created) < revocation.utc(date) <= revocation.utc(now):
            text = f"it was baked before {date[:10]}, see retention.{image.candidate_for}.obsoleteOn"
            revocation.revoke(library, image.name, text, date)
