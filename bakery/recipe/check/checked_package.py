"""What the checks of one package give, and its form as bytes, which :mod:`bakery.recipe.cache` keeps.

JSON, since it can only hold values: nothing runs when it is read. The head says what every plan wants to know; the
rest, which is most of it, is only read when somebody asks for the recipe.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property

from bakery.errors import Problem, Severity
from bakery.recipe.model import ClusterShape, Json, Metric, Partition, Suite, SuiteJob, Variant
from bakery.recipe.templating import FAMILY

TIMEOUT = 3600  # seconds, Cloud Build's own default
BORDER = b"\t"  # between the parts; JSON writes it as \t


@dataclass(frozen=True)
class Checked:
    """What the checks give; files in problems and places are below the package's folder.

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
    family_at: tuple[str, int] = ("", 1)
    base_at: tuple[str, int] = ("", 1)
    problems: tuple[Problem, ...] = ()

    @property
    def families(self) -> tuple[str, ...]:
        """The families that it sets by substitution."""
        given = (self.substitutions, *(variant.substitutions for variant in self.variants))
        return tuple(values[FAMILY] for values in given if FAMILY in values)


@dataclass(frozen=True)
class Entry:
    """A package's checks as they are remembered; ``rest`` is JSON that is only read when somebody asks for it."""

    usable: bool
    families: tuple[str, ...]
    problems: tuple[Problem, ...]
    rest: bytes

    @cached_property
    def checked(self) -> Checked:
        """All of it."""
        return _from_json(json.loads(self.rest.partition(BORDER)[0]), self.problems)

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """The package's files: path below its folder to SHA-256 of the content, in hex."""
        found: dict[str, str] = json.loads(self.rest.partition(BORDER)[2])
        return found


def to_bytes(checked: Checked, digests: Mapping[str, str]) -> bytes:
    """Head, body and the files' digests."""
    problems = [[p.file, p.line, p.message, p.hint, p.severity.value] for p in checked.problems]
    parts = ([checked.usable, checked.families, problems], _to_json(checked), digests)
    return BORDER.join(json.dumps(part, separators=(",", ":")).encode() for part in parts)


def from_bytes(content: bytes) -> Entry:
    """What :func:`to_bytes` wrote."""
    head, _, rest = content.partition(BORDER)
    usable, families, problems = json.loads(head.decode())
    found = tuple(Problem(f, line, m, h, Severity(s)) for f, line, m, h, s in problems)
    return Entry(usable, tuple(families), found, rest)


# The codec of all models (bakery.codec) goes by type hints and takes ten times as long as these few lines, which a
# thousand recipes feel in each plan.


def _to_json(checked: Checked) -> Json:
    made = {one.name: getattr(checked, one.name) for one in fields(checked) if one.name != "problems"}
    made["suite"] = checked.suite and _suite_to_json(checked.suite)
    made["variants"] = [
        {**vars(one), "cluster": one.cluster and _cluster_to_json(one.cluster)} for one in checked.variants
    ]
    return made


def _from_json(value: Json, problems: tuple[Problem, ...]) -> Checked:
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
