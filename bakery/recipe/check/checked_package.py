"""The result of the checks of one package, and its JSON form for the cache (:mod:`bakery.recipe.check.entry`)."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bakery.errors import Problem
from bakery.recipe.model import ClusterShape, Json, Metric, Partition, Suite, SuiteJob, Variant
from bakery.recipe.templating import FAMILY

TIMEOUT = 3600  # seconds, Cloud Build's own default


@dataclass(frozen=True)
class Checked:
    """A checked package. Files in problems and positions are relative to the package's folder.

    A package that is not ``usable`` has no recipe, only problems.
    """

    usable: bool = False
    workspace_path: str = ""
    common_path: str = "common"
    template: Json = None
    build: Json = field(default_factory=dict)
    substitutions: Mapping[str, str] = field(default_factory=dict)
    timeout: int = TIMEOUT
    variants: tuple[Variant, ...] = (Variant(),)
    suite: Suite | None = None
    owners: tuple[str, ...] = ()
    description: str = ""
    family_at: tuple[str, int] = ("", 1)
    base_at: tuple[str, int] = ("", 1)
    problems: tuple[Problem, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """The families that the package sets by substitution."""
        given = (self.substitutions, *(variant.substitutions for variant in self.variants))
        return tuple(values[FAMILY] for values in given if FAMILY in values)


# bakery.codec, the codec of all models, follows type hints and takes ten times as long as these few lines. With a
# thousand recipes that is noticeable in every plan.


def checked_to_json(checked: Checked) -> Json:
    """Return the package as a JSON value, without its problems."""
    values = {one.name: getattr(checked, one.name) for one in fields(checked) if one.name != "problems"}
    values["suite"] = checked.suite and _suite_to_json(checked.suite)
    values["variants"] = [
        {**vars(one), "cluster": one.cluster and _cluster_to_json(one.cluster)} for one in checked.variants
    ]
    return values


def checked_from_json(value: Json, problems: tuple[Problem, ...]) -> Checked:
    """Return the package that :func:`checked_to_json` encoded."""
    return Checked(
        **value
        | {
            "suite": value["suite"] and _suite(value["suite"]),
            "variants": tuple(_variant(one) for one in value["variants"]),
            "owners": tuple(value["owners"]),
            "family_at": tuple(value["family_at"]),
            "base_at": tuple(value["base_at"]),
            "problems": problems,
        }
    )


def _suite_to_json(suite: Suite) -> Json:
    jobs = [{**vars(job), "metrics": [vars(metric) for metric in job.metrics]} for job in suite.jobs]
    return {"jobs": jobs, "cluster": _cluster_to_json(suite.cluster)}


def _cluster_to_json(cluster: ClusterShape) -> Json:
    return {**vars(cluster), "partitions": [vars(partition) for partition in cluster.partitions]}


def _suite(value: Json) -> Suite:
    return Suite(tuple(_job(job) for job in value["jobs"]), _cluster(value["cluster"]))


def _job(value: Json) -> SuiteJob:
    return SuiteJob(**value | {"metrics": tuple(Metric(**metric) for metric in value["metrics"])})


def _cluster(value: Json) -> ClusterShape:
    return ClusterShape(**value | {"partitions": tuple(Partition(**one) for one in value["partitions"])})


def _variant(value: Json) -> Variant:
    cluster = value["cluster"] and _cluster(value["cluster"])
    return Variant(**value | {"cluster": cluster, "owners": tuple(value["owners"])})
