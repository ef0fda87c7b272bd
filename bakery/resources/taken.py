"""The plan of a stack that takes its images from another one, for the program."""

import pulumi

from bakery.backends import backend
from bakery.backends.source import source_library
from bakery.errors import InputError, Uncertain, errors_among
from bakery.plan.model import Plan
from bakery.preview import snapshot, taken
from bakery.settings import Settings


def plan_of(settings: Settings) -> Plan | None:
    """Return the plan of the images that the source has proven; None if the stack bakes its images.

    Raises InputError with every problem, also if the source lacks a family that this stack has, and Uncertain if an
    ``up`` cannot know which ones it has.
    """
    source = source_library(settings)
    if source is None:
        return None
    plan = taken.planned(settings, source)
    held = snapshot.read(settings, backend(settings).existing_library, ())
    if held.problems and not pulumi.runtime.is_dry_run():
        raise Uncertain(f"it cannot be known which families the stack has: {held.problems[0].message}")
    owner = f"{pulumi.get_project()}/{pulumi.get_stack()}"
    if errors := errors_among(plan.problems) or taken.lost(settings, plan.images, held, owner):
        raise InputError(errors)
    return plan
