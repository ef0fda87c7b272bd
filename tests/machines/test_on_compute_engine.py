"""A Fluid-Run on Compute Engine with a real agent and a real Slurm: the fake's instances are QEMU machines here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.errors import BakeryError
from bakery.fluid_run import runner
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host import qemu, slots
from bakery.host.google import Google
from bakery.library.base import Proof
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.plan import image_labels
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Metric, Partition, SourceFile, Suite, SuiteJob
from bakery.results.app_runs import APP_RUNS
from bakery.results.model import RunResult, Verdict
from bakery.settings import LocalSettings, Settings, parse
from tests.fake_google import compute, machines
from tests.fake_google.machines import Machines
from tests.fake_google.server import FakeServer, serve
from tests.support.every import every

pytestmark = pytest.mark.machines

IMAGE = "rcc-debian-0123456789ab"
COLLECTION = "compute/compute/v1/projects/p/global/images"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"
ACCOUNT = "bakery-test@p.iam.gserviceaccount.com"
SHAPE = ClusterShape(partitions=(Partition("debug", nodes=2, machine_type="e2-standard-2"),), login_nodes=0)
SCRIPTS = {  # each takes more than a second: Slurm counts a job's time in whole ones
    "nodes.sh": "sleep 1.5\nsrun hostname | sort | tee nodes.txt\necho nodes: $(wc -l <nodes.txt)\n",
    "after.sh": 'sleep 1.5\necho "$GCE_IMAGE of $PROJECT" >told.txt\nexit 3\n',
}
JOBS = (
    SuiteJob(
        "system",
        "nodes.sh",
        "out/nodes",
        "debug",
        "--nodes=2 --ntasks-per-node=1",
        metrics=(Metric("nodes", r"nodes: (\d+)", "nodes", reference=2.0, lower=0.0, upper=0.0),),
        time_limit=300,
    ),
    SuiteJob("system", "after.sh", "out/after", "debug", "--nodes=1", time_limit=300),
)


@pytest.fixture(scope="module")
def server(rcc_debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    """A project with the image, a bucket and a table; its instances take slots of this computer."""
    local = LocalSettings()
    folder = tmp_path_factory.mktemp("instances")
    taken = slots.take(3 * machines.CORES, 3 * machines.MEMORY_MB, Activity(), slots.capacity(local))
    with serve() as running, taken:
        cloud, port = running.cloud, running.server_address[1]
        compute.add_image(cloud, COLLECTION, {"name": IMAGE, "labels": {image_labels.DIGEST_LABEL: "0123456789ab"}})
        cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        fields = [
            {"name": one.name, "type": one.type, "mode": "REQUIRED" if one.required else "NULLABLE"} for one in APP_RUNS
        ]
        cloud.items[TABLE] = {"schema": {"fields": fields}}
        made = Machines(cloud, port, folder, {IMAGE: rcc_debian}, qemu.accelerator(local))
        try:
            yield running
        finally:
            made.stop()
        assert cloud.violations == []


@pytest.fixture(scope="module")
def settings(server: FakeServer, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    return parse({"oven": "cloud-build", "google": google}, "gcp", tmp_path_factory.mktemp("stack"))


def order(folder: Path) -> RunOrder:
    """Two jobs, the second after the first and with an exit code of its own."""
    files = []
    for name, text in SCRIPTS.items():
        script = folder / name
        script.write_text(f"#!/bin/bash\n{text}")
        files.append(SourceFile(name, 0o755, hashlib.sha256(script.read_bytes()).hexdigest(), script))
    return RunOrder(IMAGE, "d" * 64, "rcc-debian", "", Suite(JOBS, SHAPE), tuple(files), "abc", "gcc", "x86_64")


@pytest.fixture(scope="module")
def result(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """The run, from order to verdict."""
    told: list[RunResult] = []
    google = Google(settings.google)
    try:
        runner.run(
            order(tmp_path_factory.mktemp("recipe")),
            ComputeEngineLibrary(settings, google),
            ComputeEngineClusters(settings, google),
            StatePaths(settings.state),
            Activity(),
            on_result=told.append,
        )
    except BakeryError as error:
        print(error.render())
    assert len(told) == 1, "a second try would mean that the cluster broke"
    return told[0]


def test_real_slurm_ran_the_jobs_on_machines_made_through_the_api(server: FakeServer, result: RunResult) -> None:
    first, second = result.jobs
    assert (first.passed, first.figures[0].value) == (True, 2.0)
    assert (second.passed, second.row["exit_code"]) == (False, 3)
    assert result.verdict is Verdict.FAILED
    made = [path for _at, method, path in server.cloud.calls if method == "compute.instances.insert"]
    assert len(made) == 3


def test_results_came_through_the_bucket(server: FakeServer, result: RunResult) -> None:
    assert isinstance(result.folder, Path)
    assert (result.folder / "outputs/out/nodes/nodes.txt").read_text() == "debug-0\ndebug-1\n"
    assert (result.folder / "outputs/out/after/told.txt").read_text() == f"{IMAGE} of p\n"
    assert "joined" in (result.folder / "machines/debug-1/logs/agent.log").read_text()
    assert (result.folder / "machines/controller/console.log").stat().st_size > 0
    assert server.cloud.bearers == {ACCOUNT: {"storage.objects.get", "storage.objects.insert"}}


def test_rows_went_into_bigquery_and_the_image_knows_its_verdict(
    server: FakeServer, settings: Settings, result: RunResult
) -> None:
    rows = [row["json"] for row in server.cloud.rows[TABLE]]
    assert [(row["benchmark_name"], row["exit_code"]) for row in rows] == [("out/nodes", 0), ("out/after", 3)]
    assert every(row["machine_type"] == "e2-standard-2" and row["runtime"] >= 1 for row in rows)
    found = ComputeEngineLibrary(settings).find(IMAGE)
    assert found is not None and found.proof is Proof.FAILED
    (kept,) = ComputeEngineLibrary(settings).runs(IMAGE)
    assert json.loads(json.dumps(kept.timings)) == result.timings


def test_nothing_is_left(server: FakeServer, result: RunResult) -> None:
    assert not [key for key in server.cloud.items if "/instances/" in key]
    assert not [key for key in server.cloud.items if key.endswith("seed.tar")]
    assert isinstance(server.cloud.machines, Machines) and server.cloud.machines.booted == {}
