"""The upgrade of a cluster, seen from the host: its jobs, and the verdict on what became of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.backends import backend
from bakery.errors import ImageRejected, InfrastructureFailed
from bakery.fluid_run import runner, upgrade
from bakery.fluid_run.base import AgentStatus, Cluster
from bakery.fluid_run.clusters.fake import FakeCluster, FakeClusters
from bakery.fluid_run.clusters.sizing import sized
from bakery.library.base import ImageRecord, Proof
from bakery.library.local.library import LocalLibrary
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition, SourceFile, Suite, SuiteJob
from bakery.results.model import RunResult, Stage, Verdict
from bakery.settings import Settings, parse
from bakery.settings.cluster import Profile

OLD = ImageRecord("a-1", "1" * 64, "a", "", "a", "2026-01-01T00:00:00Z")
NEW = ImageRecord("a-2", "2" * 64, "a", "", "a", "2026-01-02T00:00:00Z")
SHAPE = ClusterShape((Partition("debug", nodes=9), Partition("big", nodes=1), Partition("idle")))
JOBS = (SuiteJob("g", "run.sh", "out/a"), SuiteJob("g", "run.sh", "out/b", "big"))
LOG = """\
[t] sched: Allocate JobId=1 NodeList=debug-0
[t] Batch JobId=2 missing from batch node debug-1
[t] sched: Allocate JobId=12 NodeList=debug-0
[t] requeue job JobId=2 due to failure of node debug-1
"""


def order(*, asked: bool = True) -> RunOrder:
    return RunOrder("a-2", "t" * 64, "a", "", Suite(JOBS, SHAPE, asked), (), "abc", "", "", {"X": "y"})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse({"oven": "fake"}, "test", tmp_path)


@pytest.fixture
def library(settings: Settings, tmp_path: Path) -> Iterator[LocalLibrary]:
    """A library with two images of a family, which points at the first one."""
    made = LocalLibrary(settings)
    for record in (OLD, NEW):
        (tmp_path / record.name).write_text(record.name)
        made.publish(record, tmp_path / record.name)
    made.promote("a-1", "a")
    yield made
    made.database.close()


def run(settings: Settings, library: LocalLibrary, given: RunOrder, **more: Any) -> list[RunResult]:
    told: list[RunResult] = []
    chosen, state = backend(settings), StatePaths(settings.state)
    runner.run(given, library, chosen.clusters(), state, Activity(), on_result=told.append, **more)
    return told


def test_a_cluster_that_is_upgraded_has_the_profile_and_its_files() -> None:
    files = tuple(SourceFile(path, 0o644, "0" * 64, path) for path in ("run.sh", "site.conf"))
    shape = replace(SHAPE, profile=Profile.PRODUCTION, slurm_conf="site.conf")
    made = upgrade.upgrade_order(replace(order(), suite=Suite(JOBS, shape, True), files=files), OLD)
    assert (made.suite.cluster.profile, made.suite.cluster.site) == (Profile.PRODUCTION, shape.site)
    assert [file.path for file in made.files] == ["site.conf"]


def names(result: RunResult) -> list[object]:
    return [job.row["benchmark_name"] for job in result.jobs]


def test_the_jobs_occupy_each_node_wait_for_one_and_use_all() -> None:
    made = upgrade.upgrade_order(order(), OLD)
    assert [(job.output_directory, job.partition, job.batch_options) for job in made.suite.jobs] == [
        ("upgrade/through-debug-0", "debug", "--nodes=1 --nodelist=debug-0 --exclusive"),
        ("upgrade/through-debug-1", "debug", "--nodes=1 --nodelist=debug-1 --exclusive"),
        ("upgrade/through-big-0", "big", "--nodes=1 --nodelist=big-0 --exclusive"),
        ("upgrade/queued-debug-0", "debug", "--nodes=1"),
        ("upgrade/queued-debug-1", "debug", "--nodes=1"),
        ("upgrade/after-debug", "debug", "--hold --nodes=2 --ntasks-per-node=1"),
        ("upgrade/queued-big-0", "big", "--nodes=1"),
        ("upgrade/queued-big-1", "big", "--nodes=1"),
        ("upgrade/after-big", "big", "--hold --nodes=1 --ntasks-per-node=1"),
    ]
    assert {job.execution_command.rpartition(" ")[2] for job in made.suite.jobs} == {"a-1"}
    assert (made.ignore_dependencies, made.env, made.suite.cluster.login_nodes) == (True, {}, 0)
    shape = made.suite.cluster
    assert sized(shape, made.suite.jobs, {}, lambda _: "") == shape, "Compute Engine makes the nodes that are named"


def test_a_run_has_the_rows_of_both_clusters(settings: Settings, library: LocalLibrary) -> None:
    held: list[Cluster] = []
    (result,) = run(settings, library, order(), hold=held.append)
    assert names(result)[:3] == ["out/a", "out/b", "upgrade/through-debug-0"]
    assert (len(result.jobs), len(held), result.verdict) == (11, 1, Verdict.PASSED)
    assert [len(stored.jobs) for stored in library.runs("a-2")] == [11]
    assert result.jobs[2].row["execution_command"] == "fluid-run-upgrade.sh through a-1"


def test_a_lost_job_fails_the_image(settings: Settings, library: LocalLibrary) -> None:
    lost = {"tests": {"*": {"lost": ["upgrade/queued-debug-0"]}}}
    with pytest.raises(ImageRejected, match=r"a cluster of a-1 lost 1 of 9 jobs: upgrade/queued-debug-0 \(job 4 on"):
        run(replace(settings, fake=lost), library, order())
    image = library.find("a-2")
    assert image is not None and image.proof is Proof.FAILED
    (stored,) = library.runs("a-2")
    assert (stored.verdict, len(stored.jobs), stored.failed_stage) == (Verdict.FAILED, 11, Stage.JUDGE)


def test_without_being_asked_nothing_is_upgraded(settings: Settings, library: LocalLibrary) -> None:
    (result,) = run(settings, library, order(asked=False))
    assert names(result) == ["out/a", "out/b"]


@pytest.mark.parametrize("present", ["", "a-2"])
def test_without_another_image_it_is_said_and_skipped(settings: Settings, library: LocalLibrary, present: str) -> None:
    library.unpromote("a-1", "a", force=True)
    if present:
        library.promote(present, "a")
    said: list[str] = []
    assert upgrade.present_image(order(), NEW, library, Activity(said.append)) is None
    assert said == [f"testing: no upgrade: a has {'this image already' if present else 'no image yet'}"]
    (result,) = run(settings, library, order())
    assert names(result) == ["out/a", "out/b"]


class Mute(FakeCluster):
    """A cluster whose first replaced node tells that it can't join; its status says nothing about an upgrade."""

    def status(self) -> AgentStatus:
        if self.image in self.images.values() and len(set(self.images.values())) > 1:
            return AgentStatus(Stage.START, ended=True, error="the image has no munged", image_fault=True)
        return super().status()


class MuteClusters(FakeClusters):
    """Makes mute clusters."""

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> FakeCluster:
        return Mute(**vars(super().cluster(run_id, image, order, workspace, present)))


def test_a_node_that_can_not_join_with_the_image_rejects_it(
    settings: Settings, library: LocalLibrary, tmp_path: Path
) -> None:
    with pytest.raises(ImageRejected, match="a-2: the upgrade of a cluster of a-1: the image has no munged"):
        runner.run(order(), library, MuteClusters(settings), StatePaths(settings.state), Activity())
    assert [stored.verdict for stored in library.runs("a-2")] == [Verdict.FAILED]


Judged = Callable[..., Any]


@pytest.fixture
def judged(tmp_path: Path) -> Judged:
    """The verdict on an upgrade of three jobs."""
    log = tmp_path / "machines/controller/logs/slurmctld.log"
    log.parent.mkdir(parents=True)
    log.write_text(LOG)

    def judge(status: AgentStatus, *raw: dict[str, Any]) -> Any:
        results = {"jobs": list(raw)} if raw else None
        return upgrade.failure(upgrade.upgrade_order(order(), OLD), OLD, status, results, tmp_path)

    return judge


def test_the_verdict_names_job_node_and_log(judged: Judged) -> None:
    fates = (
        {"state": "COMPLETED", "restarts": 0, "lost": False, "job_id": "1", "nodes": "debug-0"},
        {"state": "PENDING", "restarts": 1, "job_id": "2", "nodes": "debug-1"},
        {"state": "NODE_FAIL", "lost": True, "job_id": "3"},
    )
    failed = judged(AgentStatus(Stage.COLLECT, ended=True, error="job 2 was lost", image_fault=True), *fates)
    assert isinstance(failed, ImageRejected)
    assert failed.message == (
        "a-2: the upgrade of a cluster of a-1 lost 2 of 3 jobs: upgrade/through-debug-1 (job 2 on debug-1) was put "
        "back into the queue (restarts: 1), upgrade/through-big-0 (job 3 on no node) ended NODE_FAIL"
    )
    assert failed.tail == tuple(LOG.splitlines()[1::2])


def test_only_a_node_that_had_the_image_can_blame_it(judged: Judged) -> None:
    before = AgentStatus(Stage.START, ended=True, error="no slurmd", image_fault=True)
    assert isinstance(judged(before), InfrastructureFailed), "all machines had the present image"
    after = judged(replace(before, reimage="debug-0"))
    assert isinstance(after, ImageRejected) and after.message.endswith("a cluster of a-1: no slurmd")
    assert after.tail == (LOG.splitlines()[0], LOG.splitlines()[2])
    assert isinstance(judged(replace(before, reimage="debug-0", image_fault=False)), InfrastructureFailed)
    assert judged(AgentStatus(Stage.COLLECT, ended=True)) is None
