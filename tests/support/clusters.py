"""What every test cluster promises the runner: one list of tests, which each kind of cluster has to pass.

A kind gives a :class:`Bench`. Where machines are needed its tests stand with those that boot machines.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Protocol

import pytest

from bakery.errors import Interrupted
from bakery.fluid_run.agent import wire
from bakery.fluid_run.base import AgentStatus, Cluster
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Suite, SuiteJob
from bakery.results.model import Stage
from tests.support.every import every

GOOD, BAD = "out/good", "out/bad"
JOBS = (
    SuiteJob("a", "good.sh", GOOD, batch_options="--ntasks=1", time_limit=120),
    SuiteJob("a", "bad.sh", BAD, batch_options="--ntasks=1", time_limit=120),
)
SCRIPTS = {"good.sh": "echo from the job\n", "bad.sh": "exit 3\n"}
CONTROLLER_ALONE = ClusterShape(partitions=(), login_nodes=0)
SECONDS = 600.0  # for machines that are emulated on a busy computer


def order(image: str) -> RunOrder:
    """A job that ends well, and one of the same group that ends with 3."""
    return RunOrder(image, "d" * 64, "app", "", Suite(JOBS, CONTROLLER_ALONE), (), "abc", "gcc", "x86_64")


def workspace(folder: Path) -> Path:
    """The staged folder of :func:`order`."""
    folder.mkdir()
    for name, text in SCRIPTS.items():
        (folder / name).write_text(f"#!/bin/bash\n{text}")
        (folder / name).chmod(0o755)
    return folder


class Bench(Protocol):
    """A kind of cluster, ready to be tried."""

    def cluster(self, run_id: str) -> Cluster:
        """A cluster for :func:`order`, not yet provisioned."""
        ...

    def leftovers(self) -> list[str]:
        """Machines, processes, folders and objects that a torn down cluster must not leave."""
        ...


def followed(cluster: Cluster) -> list[AgentStatus]:
    """The statuses up to the end, each one once."""
    told: list[AgentStatus] = []
    deadline = time.monotonic() + SECONDS
    while not (told and told[-1].ended):
        assert time.monotonic() < deadline, told
        status = cluster.status()
        if not told or told[-1] != status:
            told.append(status)
        time.sleep(0.02)
    return told


class ClusterContract:
    """The promises; a subclass has a fixture ``bench``."""

    def test_runs_the_jobs_brings_their_results_and_leaves_nothing(self, bench: Bench, tmp_path: Path) -> None:
        cluster = bench.cluster("run-1")
        phases: list[str] = []
        try:
            cluster.provision(Activity(phases.append))
            told = followed(cluster)
            cluster.collect(tmp_path / "results")
        finally:
            cluster.tear_down()
        stages = [list(Stage).index(status.stage) for status in told]
        assert stages == sorted(stages), "a run never goes back"
        assert (told[-1].jobs_done, told[-1].jobs_total, told[-1].error) == (2, 2, "")
        results = json.loads((tmp_path / "results" / wire.RESULTS_NAME).read_text())
        assert [(job["index"], job["exit_code"], job["state"]) for job in results["jobs"]] == [
            (0, 0, "COMPLETED"),
            (1, 3, "FAILED"),
        ]
        assert every(job["node_count"] >= 1 and job["runtime"] >= 0 for job in results["jobs"])
        assert (tmp_path / "results/outputs" / GOOD / "stdout").read_text() == "from the job\n"
        assert list((tmp_path / "results/machines").rglob("*.log"))
        assert bench.leftovers() == []

    def test_a_second_tear_down_does_no_harm(self, bench: Bench) -> None:
        cluster = bench.cluster("run-2")
        cluster.provision(Activity())
        cluster.tear_down()
        assert bench.leftovers() == []
        cluster.tear_down()

    def test_what_was_never_provisioned_is_collected_and_torn_down_as_well(self, bench: Bench, tmp_path: Path) -> None:
        cluster = bench.cluster("run-3")
        cluster.collect(tmp_path / "results")
        cluster.tear_down()
        assert not (tmp_path / "results" / wire.RESULTS_NAME).exists()
        assert bench.leftovers() == []

    def test_a_cancelled_run_makes_nothing(self, bench: Bench) -> None:
        cluster = bench.cluster("run-4")
        activity = Activity()
        activity.cancelled.set()
        with pytest.raises(Interrupted):
            try:
                cluster.provision(activity)
            finally:
                cluster.tear_down()
        assert bench.leftovers() == []
