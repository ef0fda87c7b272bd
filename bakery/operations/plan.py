"""The plan of a stack as commands need it: of its recipes, or of the images that it takes from another stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bakery.backends import backend
from bakery.backends.source import source_library
from bakery.errors import InputError, errors_among
from bakery.lock import file as lock_file
from bakery.plan.model import Plan
from bakery.plan.plan import draft
from bakery.preview import taken
from bakery.preview.plan_report import PlanReport, plan_report
from bakery.preview.proven import proven_digests
from bakery.recipe.roots import recipes_of
from bakery.settings import Settings

if TYPE_CHECKING:
    from bakery.preview.snapshot import OpenLibrary


def report_of(settings: Settings, library: OpenLibrary | None = None) -> PlanReport:
    """Return the report of the stack's plan, see :func:`bakery.preview.plan_report.plan_report`."""
    return plan_report(settings, library, source=source_library(settings))


def plan_of(settings: Settings) -> Plan:
    """Return the whole plan; bases need not be locked. Raises InputError for recipes with errors."""
    source = source_library(settings)
    plan = taken.planned(settings, source) if source else _drafted(settings)
    if errors := errors_among(plan.problems):
        raise InputError(errors)
    return plan


def _drafted(settings: Settings) -> Plan:
    proven = proven_digests(backend(settings).existing_library)
    return draft(settings, recipes_of(settings), lock_file.read(settings.lock), locked=False, proven=proven)
