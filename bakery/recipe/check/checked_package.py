"""Reads a checked package from its JSON form in the cache (:mod:`bakery.recipe.check.entry`).

:mod:`bakery.codec`, the codec of all models, follows type hints and takes ten times as long as these few lines. With a
thousand recipes that is noticeable in every plan.
"""

from bakery.errors import Problem
from bakery.recipe.model import CheckedPackage, ClusterShape, Json, Metric, Partition, Suite, SuiteJob, Variant
from bakery.settings.cluster import Profile


def checked_from_json(value: Json, problems: tuple[Problem, ...]) -> CheckedPackage:
    """Return the package of a JSON object, which has all fields except ``problems``."""
    return CheckedPackage(
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


def _suite(value: Json) -> Suite:
    return Suite(tuple(_job(job) for job in value["jobs"]), _cluster(value["cluster"]), value["upgrade"])


def _job(value: Json) -> SuiteJob:
    return SuiteJob(**value | {"metrics": tuple(Metric(**metric) for metric in value["metrics"])})


def _cluster(value: Json) -> ClusterShape:
    profile = value["profile"] and Profile(value["profile"])
    partitions = tuple(Partition(**one) for one in value["partitions"])
    return ClusterShape(**value | {"profile": profile, "partitions": partitions})


def _variant(value: Json) -> Variant:
    cluster = value["cluster"] and _cluster(value["cluster"])
    return Variant(**value | {"cluster": cluster, "owners": tuple(value["owners"])})
