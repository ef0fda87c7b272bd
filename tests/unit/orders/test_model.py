from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakery.codec import decode, encode
from bakery.errors import InputError
from bakery.orders.model import BakeOrder, RunOrder, bake_order, run_order
from bakery.plan.model import ImagePlan, SuitePlan
from bakery.plan.summary import Base
from bakery.recipe.model import ClusterShape, Metric, Partition, SourceFile, Suite, SuiteJob
from bakery.results.model import RunResult, Verdict

FILE = SourceFile("packages/hpcc/install.sh", 0o755, "ab" * 32, Path("/somewhere/install.sh"))
JOB = SuiteJob("hpcc", "bash run.sh", "hpcc", "debug", "--ntasks=2", 600, 2, (Metric("G-HPL", "x=(.*)", "Tflop/s"),))
SUITE = Suite((JOB,), ClusterShape((Partition("debug", 3),), login_nodes=0))


def image(**changes: object) -> ImagePlan:
    values: dict[str, object] = {
        "package": "hpcc",
        "variant": "",
        "family": "hpcc",
        "name": "hpcc-0123456789ab",
        "digest": "01" * 32,
        "base": Base("rcc-debian", "rcc-debian-ffff", "ff" * 32),
        "template": {"builders": [{"type": "googlecompute", "disk_size": 20}], "provisioners": []},
        "template_path": "packages/hpcc/packer.json",
        "build": {"steps": []},
        "variables": {"target_arch": "zen3"},
        "substitutions": {"_COMPILER": "gcc"},
        "files": (FILE,),
        "labels": {"bakery-revision": "c0ffee"},
        "inputs": {"install.sh": "abab"},
        "timeout": 3600,
        "folder": Path("packages/hpcc"),
        "tests": SuitePlan("ee" * 32, SUITE, (FILE,)),
    }
    return ImagePlan(**(values | changes))  # type: ignore[arg-type]


def test_bake_order_survives_json() -> None:
    order = bake_order(image())
    again = decode(BakeOrder, json.loads(json.dumps(encode(order))))
    assert again == order
    assert again.files[0].source == FILE.source


def test_test_order_survives_json() -> None:
    order = run_order(image())
    again = decode(RunOrder, json.loads(json.dumps(encode(order))))
    assert again == order
    assert (again.compiler, again.target_arch, again.git_sha) == ("gcc", "zen3", "c0ffee")
    assert again.suite.jobs[0].metrics[0].reference is None


def test_no_tests_is_an_input_error() -> None:
    with pytest.raises(InputError, match="hpcc has no tests"):
        run_order(image(tests=None))


def test_a_damaged_order_says_where() -> None:
    broken = encode(bake_order(image()))
    broken["base"] = {"family": 7, "name": "x", "digest": "y"}
    with pytest.raises(ValueError, match=r"BakeOrder\.base\.family is int, not str"):
        decode(BakeOrder, broken)


def test_an_unknown_or_missing_field_is_refused() -> None:
    whole = encode(bake_order(image()))
    with pytest.raises(ValueError, match="has no colour"):
        decode(BakeOrder, whole | {"colour": "red"})
    with pytest.raises(ValueError, match="digest"):
        decode(BakeOrder, {key: entry for key, entry in whole.items() if key != "digest"})


@pytest.mark.parametrize("folder", [None, Path("/runs/1"), "gs://bucket/runs/1"])
def test_a_file_or_a_link_stays_what_it_is(folder: Path | str | None) -> None:
    result = RunResult("1", "hpcc-01", "ee", Verdict.PASSED, "2030-01-01T00:00:00Z", folder=folder)
    again = decode(RunResult, json.loads(json.dumps(encode(result))))
    assert again == result
    assert type(again.folder) is type(folder) or isinstance(again.folder, Path)


def test_true_is_no_number() -> None:
    with pytest.raises(ValueError, match="mode is bool, not int"):
        decode(SourceFile, {"path": "a", "mode": True, "sha256": "b", "source": "/c"})
