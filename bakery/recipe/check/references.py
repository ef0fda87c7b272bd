"""The references that ``recipe.yaml`` gives the figures of its jobs: that there are such figures, and their bounds."""

from collections.abc import Mapping

from bakery.recipe.check.fluidrun import BOUNDS
from bakery.recipe.model import Json, Suite, SuiteJob
from bakery.recipe.parse import Document, Where, quoted
from bakery.recipe.references import beyond_zero, with_reference


def jobs_of(recipe: Document, suite: Suite | None, where: Where, given: Json) -> dict[str, SuiteJob]:
    """Return the jobs that the keys of ``given`` name by their output directories; names of none are reported."""
    jobs = {job.output_directory: job for job in suite.jobs} if suite else {}
    for directory in given:
        if directory not in jobs:
            known = f"output directories: {', '.join(jobs)}" if jobs else "add fluidrun.yaml, or remove this"
            recipe.error(f"no test has output_directory {quoted(directory)}", known, *where, directory)
    return {directory: jobs[directory] for directory in given if directory in jobs}


def check_references(recipe: Document, where: Where, given: Mapping[str, Json], job: SuiteJob) -> None:
    """Report references that no figure of the job uses, and bounds that lie beyond zero with the new reference."""
    metrics = {metric.name: metric for metric in job.metrics}
    for name, value in given.items():
        if name not in metrics:
            hint = f"its metrics: {', '.join(metrics) or 'none'}"
            recipe.error(f"{job.output_directory} has no metric {quoted(name)}", hint, *where, name)
        elif bound := beyond_zero(with_reference(metrics[name], value)):
            recipe.error(f"{bound} of {name} is beyond zero with this reference", BOUNDS, *where, name)
