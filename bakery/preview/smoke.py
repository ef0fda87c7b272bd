"""The smoke tests of a stack that takes its images: jobs of this checkout's recipes that run before a promotion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bakery.errors import Problem, errors_among
from bakery.lock import file as lock_file
from bakery.plan.digest import canonical, sha256, tests_digest
from bakery.plan.model import SuitePlan
from bakery.plan.plan import by_family, draft
from bakery.recipe.model import SuiteJob
from bakery.recipe.roots import recipes_of
from bakery.settings import Settings
from bakery.settings.origin import EVERY_JOB, KEY
from bakery.settings.source_stack import problem

FORMAT = "image-bakery/smoke/1"


def smoke_tests(settings: Settings, families: Sequence[str]) -> tuple[Mapping[str, SuitePlan], tuple[Problem, ...]]:
    """Return the jobs to run on the images of these families, and the problems for which there are none.

    A family without a job that the settings name runs none; each name has to be that of a job of one of them.
    """
    if not settings.smoke:
        return {}, ()
    recipes = replace(settings, from_stack="", smoke=(), source_stack=None, select=())
    plan = draft(recipes, recipes_of(recipes), lock_file.read(settings.lock), locked=False)
    images = by_family(plan)
    tests = {family: one for family in families if family in images and (one := images[family].tests)}
    faults = [
        problem(settings, f"no recipe of this checkout has tests of {family}, for a smoke test", _hint(settings), KEY)
        for family in families
        if family not in tests
    ]
    known = {name for one in tests.values() for job in one.suite.jobs for name in _names(job)}
    for name in settings.smoke:
        if name != EVERY_JOB and name not in known and not faults:
            hint = f"use true, or some of: {', '.join(sorted(known))}"
            faults.append(problem(settings, f"no recipe has a job {name!r}, for a smoke test", hint, KEY))
    if faults:
        return {}, (*faults, *errors_among(plan.problems))
    chosen = {family: _of(one, settings) for family, one in tests.items()}
    return {family: one for family, one in chosen.items() if one.suite.jobs}, ()


def _hint(settings: Settings) -> str:
    return f"add it below {settings.packages}; or remove smoke"


def _names(job: SuiteJob) -> tuple[str, str]:
    """Return what names a job: the folder of its output, and its command group."""
    return job.output_directory, job.command_group


def _of(tests: SuitePlan, settings: Settings) -> SuitePlan:
    """Return the tests with the jobs that the settings name only, and without an upgrade.

    Their digest has the name of the stack: a run of the other stack, whose results are copied, does not count here.
    """
    wanted = set(settings.smoke)
    jobs = tuple(job for job in tests.suite.jobs if EVERY_JOB in wanted or wanted.intersection(_names(job)))
    suite = replace(tests.suite, jobs=jobs, upgrade=False)
    digest, inputs = tests_digest(suite, tests.files)
    return SuitePlan(sha256(canonical([FORMAT, settings.stack, digest])), suite, tests.files, inputs)
