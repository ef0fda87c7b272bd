"""rcc-tf's variables: complete, of the right types, and refused with all reasons when they are not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bakery.backends import backend
from bakery.errors import BakeryError
from bakery.lock.model import Lock, Place
from bakery.plan.plan import make
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.report import rcc_tf
from bakery.resources import outputs as bakery_outputs
from tests.support import plan_builders

IMAGE = "projects/some-project/global/images/rcc-debian-0123456789ab"


def partition(**fields: Any) -> dict[str, Any]:
    return {
        "name": "hpcc",
        "machine_type": "c2-standard-60",
        "max_node_count": 2,
        "zone": "",
        "image": IMAGE,
        "image_hyperthreads": False,
        "compute_disk_type": "pd-standard",
        "compute_disk_size_gb": 50,
        "compute_labels": {},
        "cpu_platform": None,
        "gpu_type": None,
        "gpu_count": 0,
        "gvnic": False,
        "network_storage": [],
        "preemptible_bursting": False,
        "vpc_subnet": None,
        "exclusive": False,
        "enable_placement": False,
        "regional_capacity": False,
        "regional_policy": None,
        "instance_template": None,
        "static_node_count": 0,
        **fields,
    }


def outputs(*partitions: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"controller_image": IMAGE, "login_image": IMAGE, "partitions": list(partitions or [partition()]), **fields}


def refused(given: dict[str, Any], cluster_name: str = "demo", zone: str = "us-west1-b") -> str:
    with pytest.raises(BakeryError) as raised:
        rcc_tf.render(given, cluster_name, "some-project", zone)
    return str(raised.value)


def test_the_file_has_every_variable_without_default_and_the_images() -> None:
    made = json.loads(rcc_tf.render(outputs(), "demo", "some-project", "us-west1-b"))
    assert set(made) == {"cluster_name", "project", "zone", "controller_image", "login_image", "partitions"}
    assert (made["cluster_name"], made["project"], made["zone"]) == ("demo", "some-project", "us-west1-b")
    assert made["partitions"][0]["image"] == IMAGE


def test_a_partition_without_zone_gets_the_clusters_and_one_with_keeps_it() -> None:
    made = rcc_tf.variables(outputs(partition(), partition(name="b", zone="europe-west4-a")), "demo", "p", "us-west1-b")
    assert [entry["zone"] for entry in made["partitions"]] == ["us-west1-b", "europe-west4-a"]


@pytest.mark.parametrize(
    "link", [IMAGE, "projects/p/global/images/family/rcc", f"https://www.googleapis.com/compute/v1/{IMAGE}"]
)
def test_links_of_compute_engine_are_taken(link: str) -> None:
    assert rcc_tf.problems(rcc_tf.variables(outputs(login_image=link), "demo", "p", "z")) == ()


def test_images_of_the_local_oven_are_refused_with_a_hint() -> None:
    said = refused(outputs(controller_image="/state/library/images/abc.qcow2"))
    assert "controller_image '/state/library/images/abc.qcow2' is no image of Compute Engine" in said
    assert "oven: cloud-build" in said


def test_all_that_is_wrong_is_said_at_once() -> None:
    broken = partition(max_node_count="2", gvnic=0, colour="red")
    del broken["exclusive"]
    said = refused(outputs(broken, partition()), cluster_name="Demo_1")
    for words in (
        "cluster_name 'Demo_1'",
        "partitions[0].max_node_count is '2'",
        "partitions[0].gvnic is 0",
        "partitions[0].colour is no field",
        "partitions[0].exclusive is missing",
        "two partitions are named hpcc",
    ):
        assert words in said


def test_true_is_no_number() -> None:
    assert "gpu_count is True" in refused(outputs(partition(gpu_count=True)))


def test_a_stack_without_images_makes_no_configuration() -> None:
    said = refused({})
    assert "controller_image is missing" in said
    assert "partitions is empty" in said


def test_no_zone_is_noticed() -> None:
    assert "zone is missing" in refused(outputs(), zone="")


@pytest.mark.parametrize(
    "partitions", [(Partition("debug"),), (Partition("cpu"), Partition("gpu", gpu_type="nvidia-l4"))]
)
def test_the_stacks_own_output_is_taken(partitions: tuple[Partition, ...]) -> None:
    """What bakery.resources.outputs makes of a plan for Google Cloud is what rcc-tf's io.tf asks for."""
    suite = Suite((SuiteJob("app", "true", "app"),), ClusterShape(partitions))
    google = {"project": "some-project", "region": "us-west1"}
    settings = plan_builders.settings(oven="cloud-build", google=google)
    lock = Lock({Place.GOOGLE: {"debian-cloud/debian-12": plan_builders.BASE}})
    recipes = plan_builders.recipes(
        plan_builders.recipe("rcc-debian"), plan_builders.recipe("hpcc", "rcc-debian", suite=suite)
    )
    plan = make(settings, recipes, lock)
    made = bakery_outputs.rcc_tf(backend(settings), plan, {image.family: image.name for image in plan.images})
    written = json.loads(rcc_tf.render(made, "demo", "some-project", "us-west1-b"))
    assert len(written["partitions"]) == len(partitions)
    assert written["controller_image"] == f"projects/some-project/global/images/{plan.images[0].name}"
