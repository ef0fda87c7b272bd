"""Today's encoders give the bytes that those of version 0.1.0 gave, over 10,000 random values."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.codec import decode, encode
from bakery.fluid_run.base import AgentStatus
from bakery.library.base import ImageRecord
from bakery.library.local.files import Sidecar
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, LockedBase
from bakery.orders.model import BakeOrder, RunOrder
from bakery.plan import digest
from bakery.plan.model import ImagePlan
from bakery.plan.summary import Base, ImageSummary
from bakery.recipe.model import ClusterShape, Metric, Partition, SourceFile, Suite, SuiteJob, Variant
from bakery.results.model import RunResult
from bakery.settings import Settings
from tests.compatibility import canonical, planning, values

# What digests are made of, and all that is written as JSON and read back.
COUNTED = (SuiteJob, Metric, Partition, ClusterShape)
MODELS = (
    *(ImagePlan, ImageSummary, Base, BakeOrder, RunOrder, Suite, Variant, SourceFile, Lock, LockedBase),
    *(ImageRecord, Sidecar, RunResult, AgentStatus, Settings, *COUNTED),
)
EACH_MODEL = 300
EACH_COUNTED = 400
EACH_DIGEST = 500
JSON_VALUES = 1700


def test_there_are_ten_thousand_examples() -> None:
    digests = 3 * EACH_DIGEST
    assert len(MODELS) * EACH_MODEL + len(COUNTED) * EACH_COUNTED + digests + JSON_VALUES >= 10_000


def same(made: Any, reference: Any, seed: int, given: Any) -> None:
    assert made == reference, f"seed {seed}: {given!r}"


def test_canonical_json_of_json_values() -> None:
    for seed in range(JSON_VALUES):
        given = values.json_value(Random(seed))
        same(digest.canonical(given), canonical.canonical(given), seed, given)


@pytest.mark.parametrize("kind", COUNTED, ids=lambda kind: kind.__name__)
def test_canonical_json_of_models(kind: Any) -> None:
    for seed in range(EACH_COUNTED):
        given = values.model(kind, Random(seed))
        same(digest.canonical(given), canonical.canonical(given), seed, given)


def test_digests_of_contents() -> None:
    """What version 0.1.0 did not know (``whole``, ``secrets``) leaves a digest as it was if it is empty."""
    for seed in range(EACH_DIGEST):
        fields = vars(values.model(digest.Material, Random(seed)))
        before = {key: value for key, value in fields.items() if key not in {"whole", "secrets", "sensitive"}}
        same(digest.content(digest.Material(**before)), canonical.content(SimpleNamespace(**before)), seed, before)
        for later in ("whole", "secrets"):
            known = digest.Material(**before, **{later: fields[later]})
            differs = digest.content(known) != digest.content(digest.Material(**before))
            assert differs is bool(fields[later]), seed


def test_digests_of_images() -> None:
    for seed in range(EACH_DIGEST):
        base, content = values.model(Base, Random(seed)), values.text(Random(seed + 1))
        same(digest.digest(base, content), canonical.digest(base, content), seed, base)


def test_digests_of_tests() -> None:
    """What version 0.1.0 did not know (``upgrade``, later fields of clusters and partitions) counts only if set."""
    for seed in range(EACH_DIGEST):
        given = values.model(Suite, Random(seed))
        files = values.value(tuple[SourceFile, ...], Random(seed + 1))
        partitions = tuple(without_later(one, Partition("")) for one in given.cluster.partitions)
        cluster = without_later(replace(given.cluster, partitions=partitions), ClusterShape())
        suite = replace(given, cluster=cluster, upgrade=False)
        before = canonical.tests_digest(first_version(suite), files)
        same(digest.tests_digest(suite, files)[0], before, seed, (suite, files))
        assert digest.tests_digest(replace(suite, upgrade=True), files)[0] != before, seed
        if suite.cluster != given.cluster:
            assert digest.tests_digest(replace(given, upgrade=False), files)[0] != before, seed


def without_later(given: Any, unset: Any) -> Any:
    """The cluster or partition with the later fields as ``unset`` has them."""
    return replace(given, **{name: value for name, value in vars(unset).items() if name in digest.LATER})


def first_version(suite: Suite) -> SimpleNamespace:
    """The suite with the cluster and the partitions of version 0.1.0."""

    def known(one: ClusterShape | Partition) -> dict[str, Any]:
        return {key: value for key, value in vars(one).items() if key not in digest.LATER}

    partitions = [known(one) for one in suite.cluster.partitions]
    return SimpleNamespace(**{**vars(suite), "cluster": {**known(suite.cluster), "partitions": partitions}})


@pytest.mark.parametrize("kind", MODELS, ids=lambda kind: kind.__name__)
def test_models_are_encoded_as_before_and_read_back(kind: Any) -> None:
    for seed in range(EACH_MODEL):
        given = values.model(kind, Random(seed))
        encoded, before = encode(given), values.as_mappings(given)
        same(encoded, canonical.encode(before), seed, given)
        text = json.dumps(encoded, sort_keys=True, separators=(",", ":"))
        same(text.encode(), canonical.order_bytes(before), seed, given)
        back = decode(kind, json.loads(text))
        same(back, given, seed, given)
        same(
            canonical.order_bytes(values.as_mappings(back)), text.encode(), seed, given
        )  # also what does not count when compared


@pytest.mark.parametrize("kind", [BakeOrder, RunOrder])
def test_orders_are_read_back(kind: Any) -> None:
    for seed in range(50):
        order = values.model(kind, Random(seed))
        written = json.dumps(encode(order), sort_keys=True, separators=(",", ":")).encode()
        same(written, canonical.order_bytes(values.as_mappings(order)), seed, order)
        same(decode(kind, json.loads(written)), order, seed, order)


def test_some_bytes_as_they_are() -> None:
    """So that a mistake in the frozen copy does not go unnoticed."""
    metric = Metric("rate", r"rate: (\S+)", "é/s", reference=10.0, lower=-0.1)
    assert digest.canonical(metric) == (
        '{"file":"stdout","lower":-0.1,"name":"rate","pattern":"rate: (\\\\S+)","reference":10.0,'
        '"unit":"\\u00e9/s","upper":null}'
    )
    assert digest.canonical([1, 1.0, True, None, "\udc80", {"b": (), "a": {}}]) == (
        '[1,1.0,true,null,"\\udc80",{"a":{},"b":[]}]'
    )
    with pytest.raises(ValueError):
        digest.canonical(float("nan"))
    assert digest.FORMAT == canonical.FORMAT


def test_golden_digests() -> None:
    file = SourceFile("packages/app/install.sh", 0o755, "ab" * 32, Path("/anywhere"))
    material = digest.Material((file,), [{"type": "shell"}], {"disk_size": 20}, {"compiler": "gcc"}, "word")
    content = digest.content(material)
    base = Base("debian-12", "debian-12-20260711", "inrelease:" + "5" * 64, "debian-cloud")
    suite = Suite((SuiteJob("group", "packages/app/test/run.sh", "app/smoke"),))
    found = (content, digest.digest(base, content), digest.tests_digest(suite, (file,))[0])
    assert found == (
        "0f9e15d8256326e077bc61d9804bc08596ece51d8c15ad6752d227d687904244",
        "6aa5f842848b3493b0dcab5f8d6b3aec12442e827213a99efbec9100e4c5336e",
        "d2af2c4d200248ac236ed9d5f97e5e6e249d681ec343c5984bf968cad934b09e",
    )


def test_the_lock_file_is_read_and_written_as_before() -> None:
    """Byte for byte, but for the comments."""
    lock = lock_file.read(planning.ROOT / "bakery.lock")
    assert uncommented(lock_file.text_of(lock)) == uncommented((planning.ROOT / "bakery.lock").read_text("utf-8"))
    kept = lock_file.read(planning.LOCK)
    assert uncommented(lock_file.text_of(kept)) == uncommented(planning.LOCK.read_text("utf-8"))


def uncommented(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
