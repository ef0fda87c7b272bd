"""The upgrade of a cluster of real machines: minutes, with ``make test-slow`` only."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import ImageRejected
from bakery.fluid_run import runner, upgrade
from bakery.fluid_run.base import Cluster
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.fluid_run.clusters.kernel_line import kernel_words
from bakery.fluid_run.clusters.local import LocalCluster, LocalClusters
from bakery.host import boot_files, process, qemu, slots
from bakery.host.google import Google
from bakery.host.machine import QemuMachine
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.results.model import RunResult, Verdict
from bakery.settings import LocalSettings, Settings, parse
from tests.fake_google import compute, machines
from tests.fake_google.machines import Machines
from tests.fake_google.server import FakeServer, serve
from tests.support.clusters import CANDIDATE, PRESENT, UpgradeContract, source_file, upgrade_order, workspace

pytestmark = [pytest.mark.machines, pytest.mark.slow]

MARK = "/etc/candidate"
BOOT_SECONDS = 900


@pytest.fixture(scope="module")
def candidate(rcc_debian: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that differs from rcc-debian by one file, which a machine writes."""
    folder, settings = tmp_path_factory.mktemp("candidate"), parse({"oven": "local"}, "test", Path())
    accelerator = qemu.accelerator(settings.local)
    files = boot_files.extract(rcc_debian, folder / "boot", Activity())
    line = kernel_words("candidate", files.root, accelerator, f"touch {MARK}; sync; systemctl poweroff --force")
    made = QemuMachine(folder, "candidate", "candidate", 1, 768, line, ())
    made.start(rcc_debian, files, accelerator).wait(timeout=BOOT_SECONDS)
    return made.disk


def order(folder: Path) -> RunOrder:
    """A job that only an image with the mark passes."""
    suite = Suite(
        (SuiteJob("a", "marked.sh", "out/marked", time_limit=300),),
        ClusterShape(partitions=(Partition("debug", nodes=2),), login_nodes=0),
        upgrade=True,
    )
    files = (source_file(folder / "marked.sh", f"test -e {MARK}\n"),)
    return RunOrder("new-1", "d" * 64, "app", "", suite, files, "abc", "gcc", "x86_64")


def image(name: str, file: Path | None = None) -> ImageRecord:
    return ImageRecord(name, name, "app", "", "app", "2026-01-01T00:00:00Z", location=str(file or ""))


def test_the_nodes_take_the_candidate_and_no_job_is_lost(rcc_debian: Path, candidate: Path, tmp_path: Path) -> None:
    settings = parse({"oven": "local"}, "test", tmp_path)
    told: list[RunResult] = []
    said: list[str] = []
    runner.run_image(
        order(tmp_path),
        image("new-1", candidate),
        backend(settings).clusters(),
        StatePaths(settings.state),
        Activity(said.append),
        record=told.append,
        present=image("old-1", rcc_debian),
    )
    (result,) = told
    names = [job.row["benchmark_name"] for job in result.jobs]
    assert names == [
        "out/marked",
        *("upgrade/through-debug-0", "upgrade/through-debug-1"),
        *("upgrade/queued-debug-0", "upgrade/queued-debug-1", "upgrade/after-debug"),
    ]
    assert isinstance(result.folder, Path)
    raw = json.loads((result.folder / "upgrade/agent-results.json").read_text())["jobs"]
    assert [(job["state"], job["restarts"]) for job in raw] == [("COMPLETED", 0)] * 5
    through = [result.folder / f"upgrade/outputs/upgrade/through-debug-{number}/stdout" for number in (0, 1)]
    assert [file.read_text().splitlines()[0] for file in through] == [
        f"through: debug-{number}, of a cluster of old-1" for number in (0, 1)
    ]
    after = result.folder / "upgrade/outputs/upgrade/after-debug/stdout"
    assert after.read_text().splitlines()[1:3] == ["debug-0", "debug-1"]
    assert {f"testing: debug-{number} gets a new machine" for number in (0, 1)} <= {
        text.partition(",")[0] for text in said
    }
    logs = result.folder / "upgrade/machines"
    assert sorted(folder.name for folder in logs.iterdir()) == [
        *("controller", "debug-0", "debug-0-before", "debug-1", "debug-1-before")
    ]


@dataclass
class Bench:
    """Clusters of this computer; the names of the images are those of the contract."""

    settings: Settings
    files: dict[str, Path]

    def upgrade(self, run_id: str) -> Cluster:
        present, new = (image(name, self.files[name]) for name in (PRESENT, CANDIDATE))
        tree = workspace(self.settings.root / f"workspace-{run_id}")
        upgrade.write_script(tree)
        return backend(self.settings).clusters().cluster(run_id, new, upgrade_order(), tree, present)

    def images(self) -> dict[str, str]:
        """By the nearest of the files that each machine's disk is an overlay on; a boot snapshot is in between."""
        names = {str(file.resolve()): name for name, file in self.files.items()}
        found = {}
        for disk in StatePaths(self.settings.state).work.glob("*/*.qcow2"):
            words = ("qemu-img", "info", "--force-share", "--backing-chain", "--output=json", str(disk))
            chain = [one["filename"] for one in json.loads(process.output(words))]
            found[disk.stem] = next(names[file] for file in chain if file in names)
        return found

    def leftovers(self) -> list[str]:
        work = StatePaths(self.settings.state).work
        alive = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True, check=False)
        return [*map(str, work.glob("*")), *alive.stdout.split()]


class TestLocalUpgrades(UpgradeContract):
    """All promises, with machines."""

    @pytest.fixture
    def bench(self, rcc_debian: Path, candidate: Path, tmp_path: Path) -> Bench:
        return Bench(parse({"oven": "local"}, "test", tmp_path), {PRESENT: rcc_debian, CANDIDATE: candidate})


@pytest.fixture
def server(rcc_debian: Path, candidate: Path, tmp_path: Path) -> Iterator[FakeServer]:
    """A project with both images; its instances take slots of this computer."""
    local = LocalSettings()
    taken = slots.take(3 * machines.CORES, 3 * machines.MEMORY_MB, Activity(), slots.capacity(local))
    with serve() as running, taken:
        cloud, port, images = running.cloud, running.server_address[1], {"old-1": rcc_debian, "new-1": candidate}
        for name in images:
            compute.add_image(cloud, "compute/compute/v1/projects/p/global/images", {"name": name})
        cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        made = Machines(cloud, port, tmp_path / "instances", images, qemu.accelerator(local))
        try:
            yield running
        finally:
            made.stop()
        assert cloud.violations == []


def test_nodes_on_compute_engine_take_the_candidate(server: FakeServer, tmp_path: Path) -> None:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", tmp_path / "stack")
    told: list[RunResult] = []
    runner.run_image(
        order(tmp_path),
        image("new-1"),
        ComputeEngineClusters(settings, Google(settings.google)),
        StatePaths(settings.state),
        Activity(),
        record=told.append,
        present=image("old-1"),
    )
    assert [(len(result.jobs), result.verdict) for result in told] == [(6, Verdict.PASSED)]
    made = [path for _at, method, path in server.cloud.calls if method == "compute.instances.insert"]
    assert len(made) == 2 + 3 + 2, "for the job on one node, to be upgraded, and in place of both nodes"
    assert not [key for key in server.cloud.items if "/instances/" in key]


class Careless(LocalCluster):
    """Replaces the other node, too, whose job runs."""

    def reimage(self, name: str, activity: Activity) -> None:
        super().reimage("debug-1", activity)
        super().reimage(name, activity)


class CarelessClusters(LocalClusters):
    """Makes careless clusters."""

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> LocalCluster:
        first = Path(present.location) if present else None
        return Careless(self, run_id, Path(image.location), order, workspace, present=first)


def test_a_lost_job_fails_the_image(rcc_debian: Path, candidate: Path, tmp_path: Path) -> None:
    settings = parse({"oven": "local"}, "test", tmp_path)
    told: list[RunResult] = []
    with pytest.raises(ImageRejected) as failed:
        runner.run_image(
            order(tmp_path),
            image("new-1", candidate),
            CarelessClusters(settings),
            StatePaths(settings.state),
            Activity(),
            record=told.append,
            present=image("old-1", rcc_debian),
        )
    assert failed.value.message == (
        "new-1: the upgrade of a cluster of old-1 lost 1 of 5 jobs: "
        "upgrade/through-debug-1 (job 2 on debug-1) was put back into the queue (restarts: 1)"
    )
    assert any("JobId=2" in line for line in failed.value.tail)
    assert [result.verdict for result in told] == [Verdict.FAILED]
