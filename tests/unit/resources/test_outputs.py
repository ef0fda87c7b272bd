from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.errors import Problem, Severity
from bakery.library.base import ImageRecord, Proof
from bakery.library.local.library import LocalLibrary
from bakery.library.versions import to_labels
from bakery.plan.plan import make
from bakery.preview.snapshot import LibrarySnapshot, read
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.resources import outputs
from bakery.resources.outputs import images_output as images
from bakery.resources.outputs import promotions
from bakery.resources.outputs import rcc_tf_output as rcc_tf
from bakery.settings import Settings
from tests.support.plan_builders import LOCK, recipe, recipes, settings

JOB = SuiteJob("app", "true", "app")
CLUSTER = ClusterShape((Partition("small", 2, machine_type="c2-standard-4"), Partition("big", 8, zone="z")))
GIVEN = recipes(recipe("base"), recipe("app", "base", suite=Suite((JOB,), CLUSTER)), recipe("bare", "base", suite=None))
PLAN = make(settings(), GIVEN, LOCK)
BACKEND = backend(settings())
PROMOTED = {image.family: (image.name, image.digest, image.tests is not None) for image in PLAN.images}


def test_images_name_what_stands_behind_a_family() -> None:
    found = images(BACKEND, PLAN, PROMOTED, {})
    assert set(found) == {"base", "app", "bare"}
    assert found["app"]["image"] == PROMOTED["app"][0]
    assert found["app"]["link"].endswith(f"{found['app']['digest']}.qcow2")
    assert (found["app"]["tested"], found["bare"]["tested"]) == (True, False)


def test_what_is_not_promoted_is_left_out() -> None:
    assert set(images(BACKEND, PLAN, {"base": ("base-1", "1", True)}, {})) == {"base"}
    assert rcc_tf(BACKEND, PLAN, {}) == {}


def test_rcc_tf_boots_controller_and_login_from_the_root_and_partitions_from_the_others() -> None:
    found = rcc_tf(BACKEND, PLAN, PROMOTED)
    links = {family: entry["link"] for family, entry in images(BACKEND, PLAN, PROMOTED, {}).items()}
    assert found["controller_image"] == found["login_image"] == links["base"]
    assert {entry["name"]: entry["image"] for entry in found["partitions"]} == {
        "app-small": links["app"],
        "app-big": links["app"],
        "bare": links["bare"],
    }
    small, big = (entry for entry in found["partitions"] if entry["image"] == links["app"])
    assert (small["machine_type"], small["max_node_count"], big["max_node_count"], big["zone"]) == (
        "c2-standard-4",
        2,
        8,
        "z",
    )


def test_a_lone_image_is_its_own_partition() -> None:
    found = rcc_tf(BACKEND, PLAN, {"base": PROMOTED["base"]})
    assert [entry["name"] for entry in found["partitions"]] == ["base"]


def test_on_google_cloud_a_link_is_what_terraform_takes() -> None:
    google = settings(oven="cloud-build", google={"project": "p", "region": "r"})
    assert (
        images(backend(google), PLAN, PROMOTED, {})["app"]["link"] == f"projects/p/global/images/{PROMOTED['app'][0]}"
    )


def held(stack: Settings) -> LibrarySnapshot:
    """What the library has."""
    return read(stack, backend(stack).existing_library, ())


@pytest.fixture
def library(make_settings: Callable[..., Settings], tmp_path: Path) -> LocalLibrary:
    """A library where base is promoted and proven, and app has moved to another image, which failed since."""
    library = LocalLibrary(make_settings())
    base = next(image for image in PLAN.images if image.family == "base")
    for name, digest, family, proof in (
        (base.name, base.digest, "base", Proof.PASSED),
        ("app-old", "e" * 64, "app", Proof.FAILED),
    ):
        file = tmp_path / name
        file.write_text(name, encoding="utf-8")
        library.publish(ImageRecord(name, digest, family, "", family, "2029-01-01T00:00:00Z"), file)
        library.record_test(name, Proof.PASSED, "t")
        library.promote(name, family)
        library.record_test(name, proof, "t")
    return library


def test_the_outputs_of_an_up_are_what_the_library_has(
    library: LocalLibrary, make_settings: Callable[..., Settings]
) -> None:
    """Whatever the engine says of promotions that it has skipped."""
    said = {image.family: image.name for image in PLAN.images}
    found = promotions(held(make_settings()), PLAN, said, preview=False)
    assert found == {"base": PROMOTED["base"], "app": ("app-old", "e" * 64, False)}


def test_a_preview_names_what_will_be_promoted_but_not_what_is_skipped(
    library: LocalLibrary, make_settings: Callable[..., Settings]
) -> None:
    chosen = held(make_settings())
    said = {"base": PROMOTED["base"][0], "app": PROMOTED["app"][0], "bare": ""}
    assert promotions(chosen, PLAN, said, preview=True) == {name: PROMOTED[name] for name in ("base", "app")}
    found = promotions(chosen, PLAN, said | {"app": "app-old"}, preview=True)
    assert found["app"] == ("app-old", "e" * 64, False)


def test_without_the_library_the_outputs_are_those_of_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(outputs.pulumi.log, "warn", said.append)
    unread = LibrarySnapshot(problems=(Problem("library", 1, "it is locked", "", Severity.WARNING),))
    found = promotions(unread, PLAN, {"app": PROMOTED["app"][0]}, preview=False)
    assert found == {"app": PROMOTED["app"]}
    assert said == ["the outputs are those of the stack's state: it is locked"]


@pytest.mark.parametrize(("slurm", "refused"), [("22.05.8", False), ("23.11.4", True)])
def test_a_cluster_that_cannot_work_is_not_an_output(
    library: LocalLibrary, make_settings: Callable[..., Settings], slurm: str, refused: bool
) -> None:
    base = next(image for image in PLAN.images if image.family == "base")
    library.record_test(base.name, Proof.PASSED, "t", to_labels({"slurm": "22.05.8"}))
    library.record_test("app-old", Proof.PASSED, "t", to_labels({"slurm": slurm}))
    said = {image.family: image.name for image in PLAN.images}
    found = outputs.outputs(backend(make_settings()), PLAN, said, preview=False)
    assert (found["rcc_tf"] == {}, bool(found["refused"])) == (refused, refused)
    assert [found["images"][family]["versions"]["slurm"] for family in ("base", "app")] == ["22.05.8", slurm]
    named = f"partitions app-small, app-big of app-old and the controller of {base.name} cannot be one cluster"
    assert [named in text for text in found["refused"]] == [True] * refused
