"""What every test cluster promises the runner: one list of tests, which each kind of cluster has to pass.

A kind gives a :class:`Bench`. Where machines are needed its tests stand with those that boot machines.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from bakery.errors import Interrupted
from bakery.fluid_run import upgrade
from bakery.fluid_run.agent import wire
from bakery.fluid_run.base import AgentStatus, Cluster
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, SourceFile, Suite, SuiteJob
from bakery.results.model import Stage
from tests.support.every import every

GOOD, BAD = "out/good", "out/bad"
JOBS = (
    SuiteJob("a", "good.sh", GOOD, batch_options="--ntasks=1", time_limit=120),
    SuiteJob("a", "bad.sh", BAD, batch_options="--ntasks=1", time_limit=120),
)
SCRIPTS = {"good.sh": "echo from the job\n", "bad.sh": "exit 3\n"}
CONTROLLER_ALONE = ClusterShape(partitions=(), login_nodes=0)
PRESENT, CANDIDATE, NODES = "app-00000000000a", "app-0123456789ab", ("debug-0", "debug-1")
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


def upgrade_order() -> RunOrder:
    """The jobs of an upgrade of two nodes."""
    asked = replace(order(CANDIDATE), suite=Suite(JOBS, ClusterShape(login_nodes=0), upgrade=True))
    return upgrade.upgrade_order(asked, ImageRecord(PRESENT, "d", "app", "", "app", "2026-01-01T00:00:00Z"))


def source_file(script: Path, text: str) -> SourceFile:
    """Write a script and return it as a file of an order."""
    script.write_text(f"#!/bin/bash\n{text}")
    return SourceFile(script.name, 0o755, hashlib.sha256(script.read_bytes()).hexdigest(), script)


class Bench(Protocol):
    """A kind of cluster, ready to be tried. ``software`` are versions that its image certainly has, by name."""

    @property
    def software(self) -> Mapping[str, str]: ...

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


class UpgradeBench(Protocol):
    """A kind of cluster whose machines can be replaced."""

    def upgrade(self, run_id: str) -> Cluster:
        """A cluster of :data:`PRESENT` for :func:`upgrade_order`, not yet provisioned."""
        ...

    def images(self) -> dict[str, str]:
        """The image of each machine that is there."""
        ...

    def leftovers(self) -> list[str]:
        """As those of a :class:`Bench`."""
        ...


class UpgradeContract:
    """The promises of clusters that are upgraded; a subclass has a fixture ``bench``."""

    def test_machines_are_replaced_in_their_place(self, bench: UpgradeBench, tmp_path: Path) -> None:
        cluster = bench.upgrade("run-5")
        replaced: list[str] = []
        try:
            cluster.provision(Activity())
            assert bench.images() == dict.fromkeys(("controller", *NODES), PRESENT)
            deadline = time.monotonic() + SECONDS
            while not (status := cluster.status()).ended:
                assert time.monotonic() < deadline, status
                if status.reimage not in ("", *replaced):
                    cluster.reimage(status.reimage, Activity())
                    replaced.append(status.reimage)
                time.sleep(0.02)
            images = bench.images()
            cluster.collect(tmp_path / "results")
        finally:
            cluster.tear_down()
        assert replaced == list(NODES)
        assert images == {"controller": PRESENT, **dict.fromkeys(NODES, CANDIDATE)}
        results = json.loads((tmp_path / "results" / wire.RESULTS_NAME).read_text())
        jobs = [(job["state"], job["restarts"]) for job in results["jobs"]]
        assert jobs == [("COMPLETED", 0)] * len(upgrade_order().suite.jobs)
        assert bench.leftovers() == []


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
        assert bench.software.items() <= results["versions"].items()
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
