"""The plan of a stack that takes its images from another one, for the program."""

import pulumi

from bakery.backends import backend
from bakery.backends.source import source_library
from bakery.errors import AccessRefused, InputError, Problem, errors_among
from bakery.plan.model import Plan
from bakery.preview import taken
from bakery.settings import Settings


def plan_of(settings: Settings) -> Plan | None:
    """Return the plan of the images that the source has proven; None if the stack bakes its images.

    Raises InputError with every problem, also if the source lacks a family that this stack has, and Uncertain if it
    cannot be known which ones it has.
    """
    source = source_library(settings)
    if source is None:
        return None
    plan = taken.planned(settings, source)
    if errors := errors_among(plan.problems) or _lost(settings, plan):
        raise InputError(errors)
    return plan


def _lost(settings: Settings, plan: Plan) -> tuple[Problem, ...]:
    """Return the problems of :func:`bakery.preview.taken.lost`.

    None if the library refuses access: a new project has no services and grants yet, and nothing in it can be given up.
    """
    library, owner = backend(settings).existing_library(), f"{pulumi.get_project()}/{pulumi.get_stack()}"
    try:
        wants = [want for want in library.wants() if want.stack == owner] if library else []
        return taken.lost(settings, plan.images, wants, library.find) if library else ()
    except AccessRefused:
        return ()
