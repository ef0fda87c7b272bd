"""From a recipe to a promoted image, with the programs that run on Google Cloud; only its APIs are the fake.

``pulumi up`` submits the build. Its steps run Packer and the googlecompute plugin, which log in to a QEMU machine
through gcloud's tunnel and a relay of IAP's protocol. The disk becomes the image, machines of that image are the
cluster that tests it, and the image is promoted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bakery.host import qemu, slots
from bakery.library.base import Proof
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.lock import file as lock_file
from bakery.lock.model import Place
from bakery.ovens.local import base_image
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings
from tests.fake_google import compute, iap, machines
from tests.fake_google.iap import Relay
from tests.fake_google.machines import Machines
from tests.fake_google.workers import Worker
from tests.gcp.stack import Stack, declared, engine
from tests.support import built_packer
from tests.support.every import every
from tests.support.root import ROOT

pytestmark = pytest.mark.slow

PACKAGE = "rcc-debian"
BASE = "debian-12-bookworm-v1"  # in the lock of the stack
BASES = "compute/compute/v1/projects/debian-cloud/global/images"
ZONE = "compute/compute/v1/projects/p/zones/us-central1-a"
PROVIDER = ("owner@example.com", ("https://www.googleapis.com/auth/cloud-platform",))
UP_SECONDS = 6000


def base_disk(log: Path) -> Path:
    """The disk that the local oven bakes on, which is a Debian as well."""
    locked = lock_file.read(ROOT / "bakery.lock").find(Place.LOCAL, "debian-cloud", "debian-12")
    assert locked is not None
    made = Base("debian-12", locked.name, locked.identity, "debian-cloud")
    return base_image.get(made, LocalSettings(), Activity(), log).disk


def computer(stack: Stack, folder: Path, until_the_end: ExitStack) -> Relay:
    """Let instances be machines of this computer, and builds programs. Returns the relay between them."""
    cloud, local = stack.server.cloud, LocalSettings()
    folder.mkdir()
    taken = slots.take(3 * machines.CORES, 3 * machines.MEMORY_MB, Activity(), slots.capacity(local))
    until_the_end.enter_context(taken)
    uefi = [{"type": "UEFI_COMPATIBLE"}]
    compute.add_image(cloud, BASES, {"name": BASE, "family": "debian-12", "guestOsFeatures": uefi})
    images = {BASE: base_disk(folder / "base.log")}
    made = Machines(cloud, stack.server.server_address[1], folder, images, qemu.accelerator(local))
    until_the_end.callback(made.stop)

    def find(zone: str, name: str, port: int) -> tuple[str, int] | None:
        leads = made.ssh(zone, name)
        return ("127.0.0.1", leads) if leads and port == 22 else None

    relay = Relay(find, cloud.tokens.__contains__)
    address = until_the_end.enter_context(iap.relaying(relay, folder))
    packer, plugin = built_packer.program(), built_packer.program("packer-plugin-googlecompute")
    worker = Worker(cloud, stack.server.url, folder / "worker", packer, plugin, address)
    until_the_end.callback(worker.stop)
    cloud.tokens["none"] = PROVIDER
    return relay


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gcp stack with the package and nothing else."""
    home = tmp_path_factory.getbasetemp() / "gcp-home"
    with declared(tmp_path, home, engine(), machines=True) as made:
        shutil.copytree(ROOT / "common", made.workshop.folder / "common", dirs_exist_ok=True)
        shutil.copytree(ROOT / "packages" / PACKAGE, made.workshop.folder / "packages" / PACKAGE)
        yield made


def test_a_recipe_becomes_a_promoted_image(stack: Stack, tmp_path: Path) -> None:
    with ExitStack() as until_the_end:
        relay = computer(stack, tmp_path / "computer", until_the_end)
        up = stack.workshop.run("up", "--yes", "--skip-preview", timeout=UP_SECONDS)
        logs = [content.decode() for key, content in stack.server.cloud.media.items() if "/o/builds/log-" in key]
        print(up.text, *logs, sep="\n")
        assert up.code == 0

        # The build: Packer logged in through the relay only, with the roles of bakery-bake, and left nothing.
        (log,) = logs
        assert "==> googlecompute: Provisioning with shell script: packages/rcc-debian/install.sh\n" in log
        assert relay.tunnels and relay.violations == []
        assert every(tunnel["instance"].startswith("bake-") for tunnel in relay.tunnels)
        assert "compute.images.insert" in stack.server.cloud.bearers["bakery-bake@p.iam.gserviceaccount.com"]
        assert not stack.items(f"{ZONE}/instances/") and not stack.items(f"{ZONE}/disks/")

        # The test: a real Slurm on machines of that image.
        library = ComputeEngineLibrary(stack.workshop.settings)
        (name,) = library.families().values()
        image = library.find(name)
        assert image is not None and (image.family, image.proof) == (PACKAGE, Proof.PASSED)
        assert stack.server.cloud.items[f"compute/compute/v1/projects/p/global/images/{name}"]["sourceDisk"]
        (run,) = library.runs(name)
        figures = {figure.metric.name: figure.value for job in run.jobs for figure in job.figures}
        assert (figures["nodes"], figures["ranks"]) == (2.0, 2.0)
        (rows,) = stack.server.cloud.rows.values()
        assert [row["json"]["exit_code"] for row in rows] == [0, 0, 0]

        # The promotion, as consumers see it.
        output = stack.workshop.outputs()["images"][PACKAGE]
        assert (output["name"], output["tested"], output["state"]) == (name, True, "ACTIVE")
        assert name in json.dumps(stack.workshop.outputs()["rcc_tf"])
    assert stack.server.cloud.violations == []
