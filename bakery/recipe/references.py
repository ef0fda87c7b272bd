"""Performance references of ``recipe.yaml``: by job and metric, a number, or a mapping with bounds. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from bakery.recipe.model import Json, Metric, SuiteJob

REFERENCE = ("reference", "lower", "upper")  # the fields of a metric that a mapping of recipe.yaml may give


def with_references(job: SuiteJob, references: Json) -> SuiteJob:
    """Return the job with references by output directory and metric in place of those of ``fluidrun.yaml``."""
    given = references.get(job.output_directory) or {}
    return replace(job, metrics=tuple(with_reference(metric, given.get(metric.name)) for metric in job.metrics))


def with_reference(metric: Metric, given: Json) -> Metric:
    """Return the metric with another reference; bounds that are not given, or None, stay."""
    if not isinstance(given, Mapping):
        return metric if given is None else replace(metric, reference=float(given))
    figures: Json = {key: float(value) for key, value in given.items() if value is not None}
    return replace(metric, **figures) if figures else metric


def beyond_zero(metric: Metric) -> str:
    """Return the name of the bound that lies beyond zero, seen from the reference: "lower", "upper" or "".

    Such a bound holds for no reason: a rate cannot be below zero. ReFrame 4 refuses it too (``reference_bounds``). A
    reference of zero has no size, so its bounds are values and may be anything.
    """
    reference = metric.reference or 0
    if reference > 0 and (metric.lower or 0) < -1:
        return "lower"
    return "upper" if reference < 0 and (metric.upper or 0) > 1 else ""
