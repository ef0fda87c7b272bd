"""What the checks of one package give, and its form as JSON, which :mod:`bakery.recipe.remembered` keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bakery.errors import Problem, Severity
from bakery.recipe.model import ClusterShape, Json, Metric, Partition, Suite, TestJob, Variant

TIMEOUT = 3600  # seconds, Cloud Build's own default


@dataclass(frozen=True)
class Checked:
    """What the checks give; files in problems and positions are below the package's folder.

    Without ``usable`` there is no recipe, only problems.
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
    positions: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


# The codec of all models (bakery.codec) goes by type hints and takes ten times as long as these few lines, which a
# thousand recipes feel in each plan.


def to_json(checked: Checked) -> Json:
    """As json.dumps takes it."""
    made = {one.name: getattr(checked, one.name) for one in fields(checked)}
    made["suite"] = checked.suite and _suite_to_json(checked.suite)
    made["variants"] = [
        {**vars(one), "cluster": one.cluster and _cluster_to_json(one.cluster)} for one in checked.variants
    ]
    made["problems"] = [[p.file, p.line, p.message, p.hint, p.severity.value] for p in checked.problems]
    return made


def from_json(value: Json) -> Checked:
    """Back; raises KeyError, TypeError or ValueError when it is something else."""
    return Checked(
        **value
        | {
            "suite": value["suite"] and _suite(value["suite"]),
            "variants": tuple(_variant(one) for one in value["variants"]),
            "owners": tuple(value["owners"]),
            "positions": {name: (file, line) for name, (file, line) in value["positions"].items()},
            "problems": tuple(Problem(f, line, m, h, Severity(s)) for f, line, m, h, s in value["problems"]),
        }
    )


def _suite_to_json(suite: Suite) -> Json:
    jobs = [{**vars(job), "metrics": [vars(metric) for metric in job.metrics]} for job in suite.jobs]
    return {"jobs": jobs, "cluster": _cluster_to_json(suite.cluster)}


def _variant_to_json(variant: Variant) -> Json:
    return {**vars(variant), "cluster": variant.cluster and _cluster_to_json(variant.cluster)}


def _cluster_to_json(cluster: ClusterShape) -> Json:
    return {**vars(cluster), "partitions": [vars(partition) for partition in cluster.partitions]}


def _suite(value: Json) -> Suite:
    return Suite(tuple(_job(job) for job in value["jobs"]), _cluster(value["cluster"]))


def _job(value: Json) -> TestJob:
    return TestJob(**value | {"metrics": tuple(Metric(**metric) for metric in value["metrics"])})


def _cluster(value: Json) -> ClusterShape:
    return ClusterShape(**value | {"partitions": tuple(Partition(**one) for one in value["partitions"])})


def _variant(value: Json) -> Variant:
    cluster = value["cluster"] and _cluster(value["cluster"])
    return Variant(**value | {"cluster": cluster, "owners": tuple(value["owners"])})
