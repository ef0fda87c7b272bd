"""``bakery drift`` over a library on this machine and one of Compute Engine, with its exit codes."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from bakery.backends import backend
from bakery.cli.app import make_app
from bakery.cli.options import settings_of
from bakery.library.base import ImageRecord, Library, Proof, Want
from bakery.library.local.library import LocalLibrary
from bakery.paths import StatePaths
from tests.fake_google import compute
from tests.fake_google.cloud import Fault
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout
from tests.support.schemas import published

IMAGES = "compute/compute/v1/projects/p/global/images"
NAME = f"app-{'1' * 12}"


def drift(code: int, *arguments: str) -> Any:
    done = CliRunner().invoke(make_app("drift"), ["drift", *arguments])
    assert done.exit_code == code, done.output
    return done


def found(code: int, *arguments: str) -> list[tuple[str, str]]:
    """Kinds and subjects of ``bakery drift --json``, which follow the schema."""
    report = json.loads(drift(code, "--json", *arguments).stdout)
    jsonschema.validate(report, published("drift"))
    return [(one["kind"], one["subject"]) for one in report["drift"]]


def promoted(library: Library) -> None:
    library.record_test(NAME, Proof.PASSED, "t")
    library.want(Want("image-bakery/dev", "app", NAME, "t"))
    library.promote(NAME, "app")


@pytest.fixture
def library(checkout: Checkout) -> LocalLibrary:
    """A promoted image."""
    checkout.settings("dev", oven="fake")
    library = LocalLibrary(settings_of("dev"))
    file = checkout.root / "image"
    file.write_text("x", encoding="utf-8")
    library.publish(ImageRecord(NAME, "1" * 64, "app", "", "app", "2030-01-01T00:00:00Z"), file)
    promoted(library)
    return library


def test_no_library_and_no_drift(checkout: Checkout) -> None:
    checkout.settings("dev", oven="fake")
    assert drift(0).stdout == "no drift\n"
    assert not (checkout.root / ".bakery").exists()


def test_an_image_that_was_deleted_by_hand_is_gone(library: LocalLibrary) -> None:
    assert found(0) == []
    library.image_file(NAME).unlink()
    assert ("gone", NAME) in found(3)
    assert f"gone: {NAME}: is not in the library" in drift(3).stdout


def test_a_library_that_cannot_be_read_is_no_drift(library: LocalLibrary) -> None:
    library.database.close()
    library.database.file.write_bytes(b"damaged")
    assert "is damaged" in drift(1).output


def test_recipes_with_errors_are_wrong_input(library: LocalLibrary, checkout: Checkout) -> None:
    (checkout.root / "packages/app/packer.json").write_text("{", encoding="utf-8")
    assert "invalid JSON" in drift(2).output


def test_leftovers_are_told_and_stay(library: LocalLibrary, checkout: Checkout) -> None:
    rest = StatePaths(checkout.root / ".bakery").work / "bake-app-12345678"
    rest.mkdir(parents=True)
    (rest / "owner.json").write_text('{"pid": 1, "started": 0, "boot": "another", "what": "baking"}')
    assert found(3) == [("leftover", "recover")]
    assert "would have cleared what a killed bake had left" in drift(3).stdout
    assert rest.exists()


def test_a_damaged_file_is_told(library: LocalLibrary) -> None:
    file = library.image_file(NAME)
    file.chmod(0o644)
    file.write_text("xx", encoding="utf-8")
    assert found(3) == [("damaged", "library")]


def test_compute_engine_is_looked_at_in_all_respects(cloud: FakeServer) -> None:
    labels = {"bakery-digest": "1" * 32, "bakery-family": "app", "bakery-recipe": "app"}
    compute.add_image(cloud.cloud, IMAGES, {"name": NAME, "labels": labels})
    google = settings_of("gcp")
    library = backend(google).library()
    library.want(Want("image-bakery/gcp", "app", NAME, "t"))
    assert found(3, "--stack", "gcp") == [("moved", "app")]
    library.record_test(NAME, Proof.PASSED, "t")
    library.promote(NAME, "app")
    assert found(0, "--stack", "gcp") == []
    created = {"creationTimestamp": "2039-01-01T00:00:00Z"}
    compute.add_image(cloud.cloud, IMAGES, {"name": "mine", "family": "app", **created})
    assert found(3, "--stack", "gcp") == [("moved", "app")]
    library.promote(NAME, "app")
    cloud.cloud.get(f"{IMAGES}/{NAME}")["labels"] = {}
    assert ("labels", NAME) in found(3, "--stack", "gcp")
    cloud.cloud.faults.append(Fault("compute.images.get", 403))
    assert "403" in drift(1, "--stack", "gcp").output
    del cloud.cloud.items[f"{IMAGES}/{NAME}"]
    assert found(3, "--stack", "gcp") == [("gone", NAME)]


def test_a_consumer_without_access_is_told(cloud: FakeServer, checkout: Checkout) -> None:
    labels = {"bakery-digest": "1" * 32, "bakery-family": "app", "bakery-recipe": "app"}
    compute.add_image(cloud.cloud, IMAGES, {"name": NAME, "labels": labels})
    google = {"project": "p", "region": "us-central1", "endpoint": cloud.url, "consumers": ["group:a@example.com"]}
    checkout.settings("gcp", oven="cloud-build", google=google)
    library = backend(settings_of("gcp")).library()
    library.want(Want("image-bakery/gcp", "app", NAME, "t"))
    library.record_test(NAME, Proof.PASSED, "t")
    library.promote(NAME, "app")
    assert found(3, "--stack", "gcp") == [("sharing", NAME)]
    library.share(NAME, ["group:a@example.com"])
    assert found(0, "--stack", "gcp") == []


def test_a_family_that_points_at_somebody_elses_image_is_told(cloud: FakeServer) -> None:
    labels = {"bakery-digest": "1" * 32, "bakery-family": "app", "bakery-recipe": "app"}
    compute.add_image(cloud.cloud, IMAGES, {"name": NAME, "labels": labels})
    compute.add_image(cloud.cloud, IMAGES, {"name": "mine", "family": "app"})
    for command, *options in (("rollback",), ("revoke", "--reason", "bad"), ("report-failure", "--reason", "bad")):
        done = CliRunner().invoke(make_app(command), [command, "app", *options, "--stack", "gcp"])
        assert (done.exit_code, "points at mine, which the bakery did not make" in done.output) == (1, True), command
