"""Deletes images, layers and boot snapshots that are no longer wanted: ``bakery prune``."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from bakery.backends.base import Backend
from bakery.errors import InputError, errors_among
from bakery.host import space
from bakery.library import copies, retention, revocation
from bakery.library.base import ImageState, Library, Revocation
from bakery.library.derived import content
from bakery.library.retention import Pruned
from bakery.operations.plan import report_of
from bakery.paths import StatePaths
from bakery.preview.check import as_problems, wrong_rules
from bakery.preview.plan_report import PlanReport
from bakery.preview.targets import waits
from bakery.settings import Settings
from bakery.settings.retention import EVERY_FAMILY, Retention


def prune(backend: Backend, *, dry_run: bool = False) -> Pruned:
    """Enforce revocations that are due, and delete what retention allows; with ``dry_run``, change nothing.

    Layers of bakes that are too old, or beyond their budget, are deleted as well.
    Images that the plan contains, bakes from, pins or approves are kept.
    Raises InputError if the plan has errors, or the settings a rule for a family that does not exist: an image that a
    broken recipe wants, or that a misspelt rule shall keep, must not be deleted. Raises Uncertain.
    """
    settings, plan = backend.settings, report_of(backend.settings)
    if errors_among(plan.problems):
        raise InputError(plan.problems)
    state = StatePaths(settings.state)
    if state.reserve.exists() and not dry_run and space.lack(state.library):
        state.reserve.unlink()
    library, rules, rule = backend.library(), settings.retention, partial(waits, settings)
    _refuse_unknown(settings, plan, library)
    ended = tuple(_ended(library, rules))
    if dry_run:
        due = revocation.due(library, rule, ended)
        enforced = due.foreseen if due else revocation.Enforced({}, ())
    else:
        for one in ended:
            revocation.revoke(library, one.image, one.reason, one.at)
        due, enforced = None, revocation.enforce(library, rule)
    done = retention.prune(library, rules, planned=_needed(settings, plan), dry_run=dry_run, due=due)
    ahead = dict.fromkeys(enforced.obsolete, ImageState.OBSOLETE)
    ahead |= {step.image.name: step.to for step in done.moved if step.to is not None}
    followed = copies.follow(library, ahead if dry_run else {}, dry_run=dry_run)
    return replace(done, layers=backend.prune_layers(dry_run=dry_run), copies=followed, enforced=enforced)


def _needed(settings: Settings, plan: PlanReport) -> dict[str, str]:
    """Map the images that the plan or the settings need to the reason."""
    needed = {name: "the plan wants it" for one in plan.decisions for name in (one.image.name, one.image.base.name)}
    needed |= {image: f"the settings pin {family} to it" for family, image in settings.pins.items()}
    return needed | {image: f"it is approved for {family}" for family, image in settings.approved.items()}


def _refuse_unknown(settings: Settings, plan: PlanReport, library: Library) -> None:
    """Raise InputError for each rule of a family that neither the plan nor the library has."""
    planned = [decision.image for decision in plan.decisions]
    if any(wrong_rules(settings, planned, ())) and (
        wrong := as_problems(settings, wrong_rules(settings, planned, library.images()))
    ):
        raise InputError(wrong)


def _ended(library: Library, rules: Mapping[str, Retention]) -> Iterator[Revocation]:
    """Yield a revocation of each image whose fixed date has come, unless it is revoked already. Raises Uncertain."""
    now = library.now()
    dates = {rule.obsolete_on for rule in rules.values()} - {""}
    if not any(revocation.utc(date) <= revocation.utc(now) for date in dates):
        return
    known = revocation.in_force(library.revocations(), now)
    for image in library.images():
        date = retention.rule_of(image.candidate_for, rules).obsolete_on
        if not date or content(image.name) in known:
            continue
        if revocation.utc(image.created) < revocation.utc(date) <= revocation.utc(now):
            rule = EVERY_FAMILY if date == rules[EVERY_FAMILY].obsolete_on else image.candidate_for
            text = f"it was baked before {date[:10]}, see retention.{rule}.obsoleteOn"
            yield Revocation(image.name, image.name, text, date, now)
