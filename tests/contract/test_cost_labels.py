"""Labels for costs: on every machine, disk and image that a stack makes on Google Cloud."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host.google import Google
from bakery.library.base import ImageRecord, Proof
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.ovens.cloud_build import watch
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.ovens.cloud_build.request import packer_template
from bakery.progress.activity import Activity
from bakery.settings import Settings, parse
from tests.fake_google import builds, compute
from tests.fake_google.builds import Course
from tests.fake_google.server import FakeServer, serve
from tests.support import bake_orders, clusters

OWN = {"cost-center": "hpc", "team": "apps"}
IMAGES = "compute/compute/v1/projects/p/global/images"
ZONE = "compute/compute/v1/projects/p/zones/us-central1-a"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.add_stack_storage()
        yield running
        assert running.cloud.violations == []


def settings(server: FakeServer, **google: Any) -> Settings:
    values = {"project": "p", "region": "us-central1", "endpoint": server.url, "labels": OWN, **google}
    return parse({"oven": "cloud-build", "google": values}, "gcp", Path("/checkout"))


def test_machines_and_disks_of_a_test_cluster(server: FakeServer, tmp_path: Path) -> None:
    compute.add_image(server.cloud, IMAGES, {"name": "app-1"})
    given = settings(server, prefix="dev")
    server.cloud.items["storage/storage/v1/b/p-dev-artifacts"] = {"name": "p-dev-artifacts"}
    server.cloud.conditions.caller = ""
    image = ImageRecord("app-1", "d", "app", "", "app", "2026-01-01T00:00:00Z")
    workspace = clusters.workspace(tmp_path / "workspace")
    made = ComputeEngineClusters(given, Google(given.google)).cluster("r1", image, clusters.order("app-1"), workspace)
    made.provision(Activity())
    wanted = {**OWN, "bakery": "test", "bakery-recipe": "app", "bakery-prefix": "dev", "bakery-run": "r1"}
    for kind in ("instances", "disks"):
        (found,) = server.cloud.below(f"{ZONE}/{kind}")
        assert found["labels"] == wanted
    made.tear_down()


def test_the_machine_the_disk_and_the_image_of_a_bake(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOG_SECONDS", 0.05)
    given = settings(server)
    made = bake_orders.order("app")
    labels = {"bakery-digest": made.digest[:32], "bakery-family": "app", "bakery-recipe": "app"}
    order = replace(made, labels=labels)

    def course(build: dict[str, Any]) -> Course:
        """Packer's machine is there for most of the build; only its log says so."""
        disk = {"name": f"bake-{build['id']}", "labels": {"own": "1"}, "labelFingerprint": "AAAAAAAAAAA="}
        server.cloud.add(f"{ZONE}/disks/{disk['name']}", disk)
        return Course(seconds=2.0, log=("==> googlecompute: Waiting for SSH to become available...", *"abcdef"))

    builds.script(server.cloud, course)
    CloudBuildOven(given, poll_seconds=0.05).bake(order, Activity())
    (builder,) = packer_template(order, given.google, "us-central1-a")["builders"]
    wanted = {**OWN, "bakery": "bake", "bakery-recipe": "app"}
    assert builder["labels"] == wanted
    assert builder["image_labels"] == {**OWN, **labels}
    (disk,) = server.cloud.below(f"{ZONE}/disks")
    assert disk["labels"] == {"own": "1", **wanted}
    assert server.cloud.items[f"{IMAGES}/{order.name}"]["labels"].items() >= {**OWN, **labels}.items()


def test_images_that_are_made_from_others(server: FakeServer) -> None:
    library = ComputeEngineLibrary(settings(server))
    labels = {"bakery-digest": "0123456789abcdef", "bakery-family": "app", "bakery-recipe": "app"}
    compute.add_image(server.cloud, IMAGES, {"name": "app-0123456789ab", "labels": labels})
    library.record_test("app-0123456789ab", Proof.PASSED, "t")
    made = library.derive("app-0123456789ab", "app-stable")
    assert server.cloud.items[f"{IMAGES}/{made}"]["labels"].items() >= OWN.items()


@pytest.mark.parametrize(
    "labels", [{"Team": "a"}, {"team": "Apps"}, {"bakery-run": "x"}, {"team": "x" * 64}], ids=lambda one: str(one)[:20]
)
def test_what_compute_engine_refuses_and_what_is_the_bakerys_own(labels: dict[str, str]) -> None:
    values = {"oven": "cloud-build", "google": {"project": "p", "region": "r", "labels": labels}}
    with pytest.raises(InputError, match=r"image-bakery:google\.labels\.\S+ is '\w*'; write lower-case letters"):
        parse(values, "gcp", Path("/checkout"))
