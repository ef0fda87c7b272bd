"""``bakery report`` and ``bakery tfvars``: what is published for browsers and for rcc-tf."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bakery.library.base import Proof
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.library.local.library import LocalLibrary
from bakery.library.versions import to_labels
from bakery.settings import from_file
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout
from tests.support.every import every


def test_report_writes_a_page_with_every_image(checkout: Checkout, tmp_path: Path) -> None:
    assert checkout.invoke("bake", "app").exit_code == 0
    done = checkout.invoke("report", "--html", str(tmp_path / "site/library"))
    page = tmp_path / "site/library/index.html"
    assert (done.exit_code, done.stdout) == (0, f"{page}\n")
    text = page.read_text()
    images = LocalLibrary(from_file(checkout.root, "dev")).images()
    assert len(images) == 2
    assert every(image.name in text for image in images)
    assert checkout.invoke("report", "--html", str(page.parent)).exit_code == 0, "a page is replaced"


def test_a_page_that_cannot_be_written_is_an_error(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "site").write_text("a file")
    done = checkout.run("report", "--html", str(tmp_path / "site"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.fixture
def promoted(checkout: Checkout, cloud: FakeServer) -> Checkout:
    """The checkout's stack ``gcp`` has promoted both of its images."""
    assert checkout.invoke("bake", "app", "--stack", "gcp").exit_code == 0
    library = ComputeEngineLibrary(from_file(checkout.root, "gcp"))
    for image in library.images():
        library.record_test(image.name, Proof.PASSED, "tests")
        library.promote(image.name, image.candidate_for)
    return checkout


def test_tfvars_are_the_images_that_the_families_point_at(promoted: Checkout) -> None:
    done = promoted.invoke("tfvars", "--stack", "gcp", "--zone", "us-central1-b")
    assert (done.exit_code, done.stderr) == (0, "")
    variables = json.loads(done.stdout)
    families = ComputeEngineLibrary(from_file(promoted.root, "gcp")).families()
    assert set(variables) == {"project", "zone", "controller_image", "login_image", "partitions"}
    assert variables["controller_image"] == f"projects/p/global/images/{families['base']}"
    assert [one["image"] for one in variables["partitions"]] == [f"projects/p/global/images/{families['app']}"]
    assert {one["zone"] for one in variables["partitions"]} == {"us-central1-b"}


@pytest.mark.parametrize(
    ("name", "begin"),
    [("x.auto.tfvars.json", '{\n  "cluster_name": "demo",\n'), ("x.auto.tfvars", 'cluster_name = "demo"\n')],
)
def test_tfvars_are_written_to_a_file(promoted: Checkout, tmp_path: Path, name: str, begin: str) -> None:
    options = ("--stack", "gcp", "--cluster-name", "demo", "--zone", "us-central1-b")
    done = promoted.invoke("tfvars", *options, "--out", str(tmp_path / name))
    assert (done.exit_code, done.stdout) == (0, "")
    assert (tmp_path / name).read_text().startswith(begin)


def test_tfvars_refuse_images_that_cannot_be_one_cluster(promoted: Checkout) -> None:
    library = ComputeEngineLibrary(from_file(promoted.root, "gcp"))
    families = library.families()
    for family, slurm in (("base", "22.05.8"), ("app", "23.11.4")):
        library.relabel(families[family], to_labels({"slurm": slurm}))
    done = promoted.invoke("tfvars", "--stack", "gcp")
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"error: partition app of {families['app']} and the controller of {families['base']}" in done.stderr
    assert "slurmd 23.11.4 is newer than slurmctld 22.05.8" in done.stderr


def test_tfvars_name_each_family_without_a_promoted_image(checkout: Checkout, cloud: FakeServer) -> None:
    done = checkout.invoke("tfvars", "--stack", "gcp")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("error: no promoted image in base, app\n")
    assert "pulumi up --stack gcp" in done.stderr


def test_tfvars_of_local_images_name_the_oven_to_use(checkout: Checkout) -> None:
    assert checkout.invoke("bake", "app").exit_code == 0
    library = LocalLibrary(from_file(checkout.root, "dev"))
    for image in library.images():
        library.record_test(image.name, Proof.PASSED, "tests")
        library.promote(image.name, image.candidate_for)
    done = checkout.invoke("tfvars")
    assert (done.exit_code, done.stdout) == (1, "")
    assert ".qcow2' is not a link of a Compute Engine image" in done.stderr
    assert "use a stack with oven: cloud-build" in done.stderr
