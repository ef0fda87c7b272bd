"""The contract of test clusters, of the local one: real machines, a real Slurm."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.fluid_run.base import Cluster
from bakery.library.base import ImageRecord
from bakery.paths import StatePaths
from bakery.settings import Settings, parse
from tests.support.clusters import ClusterContract, order, workspace

pytestmark = pytest.mark.machines


@dataclass(frozen=True)
class Bench:
    """Clusters of one machine from the image rcc-debian."""

    settings: Settings
    image: Path

    @property
    def software(self) -> Mapping[str, str]:
        return {"os": "debian-12"}

    def cluster(self, run_id: str) -> Cluster:
        record = ImageRecord("rcc-debian", "d" * 64, "rcc-debian", "", "rcc-debian", "", location=str(self.image))
        folder = workspace(self.settings.root / f"workspace-{run_id}")
        return backend(self.settings).clusters().cluster(run_id, record, order("rcc-debian"), folder)

    def leftovers(self) -> list[str]:
        work = StatePaths(self.settings.state).work
        machines = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True, check=False)
        return [*map(str, work.glob("*")), *machines.stdout.split()]


@pytest.fixture
def bench(rcc_debian: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A bench whose clusters continue from one boot."""
    before = _digest(rcc_debian)
    state = tmp_path_factory.getbasetemp() / "clusters"
    yield Bench(parse({"oven": "local", "state": str(state)}, "test", tmp_path), rcc_debian)
    assert _digest(rcc_debian) == before, "the image is never written"


def _digest(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


class TestLocalClusters(ClusterContract):
    """All promises, with machines."""
