"""The sizes of jobs that ``recipe.yaml`` gives by tier: that there are such jobs, and that clusters have the nodes."""

from collections.abc import Iterator, Mapping, Sequence

from bakery.recipe.check.cluster import check_job
from bakery.recipe.check.fluidrun import seconds, words
from bakery.recipe.check.places import in_recipe
from bakery.recipe.check.references import check_references, jobs_of
from bakery.recipe.model import ClusterShape, Json, Suite, SuiteJob, Variant
from bakery.recipe.parse import Document, Where
from bakery.recipe.tiers import REFERENCES, with_sizes

TIME_LIMIT = "time_limit"


def sizes(given: Json) -> dict[str, dict[str, Json]]:
    """Return the tiers of ``recipe.yaml``, or of a variant in it, by tier and output directory; times in seconds."""
    tiers = given.get("tiers") or {}
    return {tier: {directory: _size(one) for directory, one in jobs.items()} for tier, jobs in tiers.items()}


def _size(given: Json) -> Json:
    return {**given, TIME_LIMIT: seconds(given[TIME_LIMIT])} if given and TIME_LIMIT in given else given


def check(recipe: Document, suite: Suite | None, variants: Sequence[Variant]) -> None:
    """Report all that is wrong with the sizes; ``recipe`` conforms to the schema."""
    shapes = [shape for one in variants if (shape := one.cluster or (suite and suite.cluster))]
    for where, given in _places(recipe.value):
        for directory, job in jobs_of(recipe, suite, where, given).items():
            if one := given[directory]:
                _check_size(recipe, (*where, directory), one, job, shapes)
    if suite is None or not suite.jobs:
        return
    for variant in variants:
        for tier in variant.tiers:
            if not with_sizes(suite, variant.tiers, tier).jobs:
                which = f"all jobs of {variant.name}" if variant.name else "all jobs"
                hint = "keep one: an image without jobs is not tested"
                recipe.error(f"tier {tier} leaves {which} out", hint, *_place(recipe.value, tier))


def _check_size(
    recipe: Document, where: Where, given: Mapping[str, Json], job: SuiteJob, shapes: Sequence[ClusterShape]
) -> None:
    check_references(recipe, (*where, REFERENCES), given.get(REFERENCES) or {}, job)
    if "batch_options" in given:
        words(recipe, (*where, "batch_options"), given["batch_options"])
    check_job(recipe, where, {"partition": job.partition, "batch_options": job.batch_options, **given}, shapes)


def _place(recipe: Json, tier: str) -> Where:
    """Return the last place that has sizes of a tier."""
    return [where for where, _ in _places(recipe) if where[-1] == tier][-1]


def _places(recipe: Json) -> Iterator[tuple[Where, Mapping[str, Json]]]:
    """Yield the sizes of each tier, with their places."""
    for where, tiers in in_recipe(recipe, "tiers"):
        for tier, given in tiers.items():
            yield (*where, tier), given
