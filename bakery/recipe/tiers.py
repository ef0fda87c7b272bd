"""Sizes of a recipe's jobs by tier: what a stack with ``cluster.tier: full`` runs instead of the smallest. Pure.

``recipe.yaml`` gives them by tier and output directory of the job: a mapping with what replaces the job's own, or false
for a job that is left out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bakery.recipe.model import Json, Suite, SuiteJob
from bakery.recipe.references import with_references

REFERENCES = "references"


def with_sizes(suite: Suite, tiers: Mapping[str, Mapping[str, Json]], tier: str) -> Suite:
    """Return the tests with the sizes of this tier; as they are if the recipe has none for it."""
    sizes = tiers.get(tier)
    return replace(suite, jobs=tuple(_sized(suite, sizes)), tier=tier) if sizes else suite


def _sized(suite: Suite, sizes: Mapping[str, Json]) -> Iterator[SuiteJob]:
    for job in suite.jobs:
        given = sizes.get(job.output_directory, {})
        if given is not False:
            own: Json = {key: value for key, value in given.items() if key != REFERENCES}
            yield with_references(replace(job, **own), {job.output_directory: given.get(REFERENCES)})
