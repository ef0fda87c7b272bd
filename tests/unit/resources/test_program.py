from __future__ import annotations

from bakery.backends import backend
from bakery.plan.plan import make
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.resources.program import images_output as images
from bakery.resources.program import rcc_tf_output as rcc_tf
from tests.support.plan_builders import LOCK, recipe, recipes, settings

JOB = SuiteJob("app", "true", "app")
CLUSTER = ClusterShape((Partition("small", 2, machine_type="c2-standard-4"), Partition("big", 8, zone="z")))
GIVEN = recipes(recipe("base"), recipe("app", "base", suite=Suite((JOB,), CLUSTER)), recipe("bare", "base", suite=None))
PLAN = make(settings(), GIVEN, LOCK)
BACKEND = backend(settings())
PROMOTED = {image.family: (image.name, image.digest) for image in PLAN.images}


def test_images_name_what_stands_behind_a_family() -> None:
    found = images(BACKEND, PLAN, PROMOTED)
    assert set(found) == {"base", "app", "bare"}
    assert found["app"]["image"] == PROMOTED["app"][0]
    assert found["app"]["link"].endswith(f"{found['app']['digest']}.qcow2")
    assert (found["app"]["tested"], found["bare"]["tested"]) == (True, False)


def test_what_is_not_promoted_is_left_out() -> None:
    assert set(images(BACKEND, PLAN, {"base": ("base-1", "1")})) == {"base"}
    assert rcc_tf(BACKEND, PLAN, {}) == {}


def test_rcc_tf_boots_controller_and_login_from_the_root_and_partitions_from_the_others() -> None:
    found = rcc_tf(BACKEND, PLAN, PROMOTED)
    links = {family: entry["link"] for family, entry in images(BACKEND, PLAN, PROMOTED).items()}
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
    assert images(backend(google), PLAN, PROMOTED)["app"]["link"] == f"projects/p/global/images/{PROMOTED['app'][0]}"
