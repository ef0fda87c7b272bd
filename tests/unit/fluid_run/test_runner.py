"""A run whose cluster or library can't be asked for a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.errors import AccessRefused, ImageRejected, Uncertain
from bakery.fluid_run import runner
from bakery.fluid_run.base import AgentStatus, Cluster
from bakery.fluid_run.clusters.fake import FakeCluster
from bakery.host import propagation
from bakery.library.base import ImageRecord, Proof
from bakery.library.local.library import LocalLibrary
from bakery.library.versions import of_labels
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.results.model import RunResult, Verdict
from bakery.settings import Settings
from bakery.settings.cluster import Profile
from tests.support.clock import Clock
from tests.support.clusters import order

IMAGE = ImageRecord("a-1", "d" * 64, "a", "", "a", "2026-01-01T00:00:00Z")


@pytest.fixture
def library(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[LocalLibrary]:
    """A library with one image."""
    made = LocalLibrary(make_settings())
    (tmp_path / "a.qcow2").write_text("image")
    made.publish(IMAGE, tmp_path / "a.qcow2")
    yield made
    made.database.close()


class Hidden(FakeCluster):
    """A cluster that nobody sees ``looks`` times."""

    looks = 2

    def status(self) -> AgentStatus:
        self.looks -= 1
        if self.looks >= 0:
            raise Uncertain("read status.json of the run: 503")
        return super().status()


class Hiding:
    """Counts the clusters that it makes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made = 0
        self.script: dict[str, Any] = {}

    def cluster(
        self,
        run_id: str,
        _image: ImageRecord,
        order: RunOrder,
        _workspace: Path,
        _present: ImageRecord | None = None,
    ) -> Cluster:
        self.made += 1
        return Hidden(self.script, order, self.folder, run_id)


def test_a_run_goes_on_while_its_cluster_can_not_be_asked(tmp_path: Path, library: LocalLibrary) -> None:
    said: list[str] = []
    clusters = Hiding(tmp_path / "fake")
    done = runner.run(order("a-1"), library, clusters, StatePaths(tmp_path), Activity(said.append))
    tested = library.find("a-1")
    assert tested is not None
    assert (done.verdict, tested.proof, clusters.made) == (Verdict.PASSED, Proof.PASSED, 1)
    assert [run.run_id for run in library.runs("a-1")] == [done.run_id]
    assert said.count("testing: the run continues, but its status is unknown: read status.json of the run: 503") == 2


def test_the_versions_that_a_run_finds_become_labels(tmp_path: Path, library: LocalLibrary) -> None:
    clusters = Hiding(tmp_path / "fake")
    first, *_ = order("a-1").suite.jobs
    clusters.script = {"versions": {"slurm": "23.11.4"}, "exit_codes": {first.output_directory: 1}}
    with pytest.raises(ImageRejected):
        runner.run(order("a-1"), library, clusters, StatePaths(tmp_path), Activity())
    tested = library.find("a-1")
    assert tested is not None and tested.proof is Proof.FAILED
    assert of_labels(tested.labels) == {"slurm": "23.11.4"}
    clusters.script = {"image_fault": "no slurmd"}
    with pytest.raises(ImageRejected):
        runner.run(order("a-1"), library, clusters, StatePaths(tmp_path), Activity())
    assert of_labels(library.find("a-1").labels) == {"slurm": "23.11.4"}  # type: ignore[union-attr]


def test_an_image_that_is_known_not_to_fit_the_profile_makes_no_machine(tmp_path: Path, library: LocalLibrary) -> None:
    clusters = Hiding(tmp_path / "fake")
    clusters.script = {"versions": {"slurm": "21.08.8"}}
    runner.run(order("a-1"), library, clusters, StatePaths(tmp_path), Activity())
    asked = order("a-1")
    cluster = replace(asked.suite.cluster, profile=Profile.PRODUCTION)
    asked = replace(asked, digest="e" * 64, suite=replace(asked.suite, cluster=cluster))
    with pytest.raises(ImageRejected, match=r"needs Slurm 22\.05 or newer, and the image has 21\.08\.8"):
        runner.run(asked, library, clusters, StatePaths(tmp_path), Activity())
    assert clusters.made == 1, "that of the first run"
    clusters.script = {"versions": {"slurm": "22.05.8"}}
    runner.run(order("a-1"), library, clusters, StatePaths(tmp_path), Activity())
    runner.run(asked, library, clusters, StatePaths(tmp_path), Activity())
    assert clusters.made == 3


def test_a_cluster_that_is_not_seen_for_long_is_given_up(
    tmp_path: Path, library: LocalLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "UNANSWERED_SECONDS", -1.0)
    clusters = Hiding(tmp_path / "fake")
    with pytest.raises(Uncertain, match="503"):
        runner.run(order("a-1"), library, clusters, StatePaths(tmp_path), Activity())
    assert clusters.made == runner.TRIES


class Guarded(LocalLibrary):
    """A library that refuses each change at first."""

    refusals = 2

    def record_run(self, result: RunResult) -> None:
        self._refuse()
        super().record_run(result)

    def record_test(self, name: str, proof: Proof, tests_digest: str, labels: Mapping[str, str] | None = None) -> None:
        self._refuse()
        super().record_test(name, proof, tests_digest, labels)

    def _refuse(self) -> None:
        self.refusals -= 1
        if self.refusals >= 0:
            raise AccessRefused("keep the results of a-1: the account lacks a role")


@pytest.mark.parametrize("young", [True, False])
def test_results_wait_for_young_grants_and_no_test_is_repeated_for_them(
    tmp_path: Path,
    library: LocalLibrary,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    young: bool,
) -> None:
    clock, said, state = Clock(), list[str](), StatePaths(tmp_path)
    monkeypatch.setattr(propagation, "time", SimpleNamespace(time=clock))
    propagation.note(state.grants, ["one"])
    if not young:
        clock.pass_(10_000)
    guarded, clusters = Guarded(make_settings()), Hiding(tmp_path / "fake")
    try:
        if young:
            done = runner.run(order("a-1"), guarded, clusters, state, clock.activity(said.append))
            assert [run.run_id for run in library.runs("a-1")] == [done.run_id]
            assert sum("waiting until new grants take effect" in phase for phase in said) == 2
        else:
            with pytest.raises(AccessRefused, match="lacks a role"):
                runner.run(order("a-1"), guarded, clusters, state, clock.activity(said.append))
    finally:
        guarded.database.close()
    assert clusters.made == 1
