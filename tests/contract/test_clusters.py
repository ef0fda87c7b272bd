"""The contract of test clusters, of those that need no machines of this computer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import InfrastructureFailed
from bakery.fluid_run.base import Cluster, Clusters
from bakery.fluid_run.clusters.fake import FakeCluster
from bakery.fluid_run.clusters.static import StaticClusters
from bakery.library.base import ImageRecord
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.fake_google import agents, compute
from tests.fake_google.server import FakeServer, serve
from tests.support import gcloud
from tests.support.clusters import (
    BAD,
    CANDIDATE,
    GOOD,
    PRESENT,
    ClusterContract,
    UpgradeContract,
    order,
    upgrade_order,
    workspace,
)

IMAGE = CANDIDATE
SOFTWARE = {"slurm": "23.11.4", "os": "rocky-9.4"}


@dataclass(frozen=True)
class Bench:
    """A kind of cluster; ``left`` says what is still there. A guest does not look at the machines' ``software``."""

    clusters: Clusters
    folder: Path
    left: Callable[[], list[str]]
    software: Mapping[str, str] = field(default_factory=dict)

    def cluster(self, run_id: str) -> Cluster:
        image = ImageRecord(IMAGE, "d" * 64, "app", "", "app", "2026-01-01T00:00:00Z")
        return self.clusters.cluster(run_id, image, order(IMAGE), workspace(self.folder / f"workspace-{run_id}"))

    def leftovers(self) -> list[str]:
        return self.left()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        for name in (IMAGE, PRESENT):
            compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", {"name": name})
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with gcloud.installed(tmp_path / "machines", monkeypatch, "head") as folder:
        yield folder


def fake(request: pytest.FixtureRequest, folder: Path) -> Bench:
    script = {"exit_codes": {BAD: 3}, "stdout": {GOOD: "from the job\n"}, "versions": SOFTWARE}
    settings = parse({"oven": "fake", "fake": {"tests": {"*": script}}}, "test", folder)
    return Bench(backend(settings).clusters(), folder, list, SOFTWARE)


def compute_engine(request: pytest.FixtureRequest, folder: Path) -> Bench:
    cloud = request.getfixturevalue("server").cloud
    agents.obey(cloud, {BAD: 3}, {GOOD: "from the job\n"}, SOFTWARE)
    google = {"project": "p", "region": "us-central1", "endpoint": request.getfixturevalue("server").url}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", folder)

    def left() -> list[str]:
        return [key for key in cloud.items if "/instances/" in key or key.endswith("seed.tar")]

    return Bench(backend(settings).clusters(), folder, left, SOFTWARE)


def static(request: pytest.FixtureRequest, folder: Path) -> Bench:
    machines: Path = request.getfixturevalue("machines")
    google = {"project": "p", "region": "us-central1"}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", folder)

    def left() -> list[str]:
        places = (*(machines / "head").glob(".fluid-run*"), *(settings.state / "work").glob("*"))
        agents = subprocess.run(["pgrep", "-f", str(machines / "head")], capture_output=True, text=True, check=False)
        return [*map(str, places), *agents.stdout.split()]

    return Bench(StaticClusters(settings, "head", "us-central1-a", ask_seconds=0.1), folder, left)


@pytest.fixture(params=[fake, compute_engine, static])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    made: Bench = request.param(request, tmp_path)
    return made


@dataclass(frozen=True)
class Upgrading:
    """A kind of cluster that is upgraded; ``booted`` has the image of each machine of the cluster that was made."""

    clusters: Clusters
    folder: Path
    booted: Callable[[Cluster], dict[str, str]]
    left: Callable[[], list[str]]
    made: list[Cluster] = field(default_factory=list)

    def upgrade(self, run_id: str) -> Cluster:
        image, present = (
            ImageRecord(name, name, "app", "", "app", "2026-01-01T00:00:00Z") for name in (CANDIDATE, PRESENT)
        )
        folder = workspace(self.folder / f"workspace-{run_id}")
        self.made.append(self.clusters.cluster(run_id, image, upgrade_order(), folder, present))
        return self.made[-1]

    def images(self) -> dict[str, str]:
        return self.booted(self.made[-1])

    def leftovers(self) -> list[str]:
        return self.left()


def fake_upgrade(request: pytest.FixtureRequest, folder: Path) -> Upgrading:
    def booted(cluster: Cluster) -> dict[str, str]:
        assert isinstance(cluster, FakeCluster)
        return dict(cluster.images)

    settings = parse({"oven": "fake"}, "test", folder)
    return Upgrading(backend(settings).clusters(), folder, booted, list)


def compute_engine_upgrade(request: pytest.FixtureRequest, folder: Path) -> Upgrading:
    bench = compute_engine(request, folder)
    cloud = request.getfixturevalue("server").cloud
    cloud.hooks.clear()
    agents.Upgraded(cloud)

    def booted(_cluster: Cluster) -> dict[str, str]:
        found = {key.rpartition("/")[2]: item for key, item in cloud.items.items() if "/instances/" in key}
        return {
            name.removeprefix("fr-run-5-"): item["disks"][0]["initializeParams"]["sourceImage"].rpartition("/")[2]
            for name, item in found.items()
        }

    return Upgrading(bench.clusters, folder, booted, bench.left)


class TestUpgrades(UpgradeContract):
    """All promises, for each kind whose machines the bakery makes."""

    @pytest.fixture(params=[fake_upgrade, compute_engine_upgrade])
    def bench(self, request: pytest.FixtureRequest, tmp_path: Path) -> Upgrading:
        made: Upgrading = request.param(request, tmp_path)
        return made


def test_nothing_of_an_existing_cluster_is_replaced(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFailed, match="head is a machine of an existing cluster"):
        static(request, tmp_path).cluster("run-6").reimage("head", Activity())


class TestClusters(ClusterContract):
    """All promises, for each kind."""
