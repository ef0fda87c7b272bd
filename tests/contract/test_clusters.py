"""The contract of test clusters, of those that need no machines of this computer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.fluid_run.base import Cluster, Clusters
from bakery.fluid_run.clusters.static import StaticClusters
from bakery.library.base import ImageRecord
from bakery.settings import parse
from tests.fake_google import agents, compute
from tests.fake_google.server import FakeServer, serve
from tests.support import gcloud
from tests.support.clusters import BAD, GOOD, ClusterContract, order, workspace

IMAGE = "app-0123456789ab"


@dataclass(frozen=True)
class Bench:
    """A kind of cluster; ``left`` says what is still there."""

    clusters: Clusters
    folder: Path
    left: Callable[[], list[str]]

    def cluster(self, run_id: str) -> Cluster:
        image = ImageRecord(IMAGE, "d" * 64, "app", "", "app", "2026-01-01T00:00:00Z")
        return self.clusters.cluster(run_id, image, order(IMAGE), workspace(self.folder / f"workspace-{run_id}"))

    def leftovers(self) -> list[str]:
        return self.left()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", {"name": IMAGE})
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with gcloud.installed(tmp_path / "machines", monkeypatch, "head") as folder:
        yield folder


def fake(request: pytest.FixtureRequest, folder: Path) -> Bench:
    script = {"exit_codes": {BAD: 3}, "stdout": {GOOD: "from the job\n"}}
    settings = parse({"oven": "fake", "fake": {"tests": {"*": script}}}, "test", folder)
    return Bench(backend(settings).clusters(), folder, list)


def compute_engine(request: pytest.FixtureRequest, folder: Path) -> Bench:
    cloud = request.getfixturevalue("server").cloud
    agents.obey(cloud, {BAD: 3}, {GOOD: "from the job\n"})
    google = {"project": "p", "region": "us-central1", "endpoint": request.getfixturevalue("server").url}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", folder)

    def left() -> list[str]:
        return [key for key in cloud.items if "/instances/" in key or key.endswith("seed.tar")]

    return Bench(backend(settings).clusters(), folder, left)


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


class TestClusters(ClusterContract):
    """All promises, for each kind."""
