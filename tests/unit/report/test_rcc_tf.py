"""rcc-tf's variables: complete, of the right types, and rejected with all reasons if they are not."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from bakery.backends import backend
from bakery.errors import BakeryError
from bakery.lock.model import Lock, Place
from bakery.plan import rcc_tf as plan_rcc_tf
from bakery.plan.plan import make
from bakery.preview.check import check
from bakery.preview.targets import staged
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.report import rcc_tf
from bakery.settings.cluster import ClusterSettings
from tests.support import plan_builders

IMAGE = "projects/some-project/global/images/rcc-debian-0123456789ab"


def partition(**fields: Any) -> dict[str, Any]:
    return {
        "name": "hpcc",
        "machine_type": "c2-standard-60",
        "max_node_count": 2,
        "zone": "us-west1-b",
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


def given(images: dict[str, Any], cluster_name: str = "demo", zone: str = "us-west1-b") -> dict[str, Any]:
    return {"cluster_name": cluster_name, "project": "some-project", "zone": zone, **images}


def refused(images: dict[str, Any], cluster_name: str = "demo", zone: str = "us-west1-b") -> str:
    with pytest.raises(BakeryError) as raised:
        rcc_tf.render(given(images, cluster_name, zone))
    return str(raised.value)


def test_the_schema_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(rcc_tf.schema())


def test_the_file_has_every_variable_without_default_and_the_images() -> None:
    made = json.loads(rcc_tf.render(given(outputs())))
    assert set(made) == {"cluster_name", "project", "zone", "controller_image", "login_image", "partitions"}
    assert (made["cluster_name"], made["project"], made["zone"]) == ("demo", "some-project", "us-west1-b")
    assert made["partitions"][0]["image"] == IMAGE


def test_a_cluster_name_may_be_left_to_the_configuration() -> None:
    variables = given(outputs())
    del variables["cluster_name"]
    assert json.loads(rcc_tf.render(variables)) == variables


def test_a_tfvars_file_has_the_same_values() -> None:
    variables = given(outputs(partition(compute_labels={"owner": "a ${b} %{c}"})))
    text = rcc_tf.render(variables, as_json=False)
    assert text.startswith('cluster_name = "demo"\nproject = "some-project"\n')
    assert '"owner": "a $${b} %%{c}"' in text
    values = [json.loads(value) for value in re.split(r"(?m)^\w+ = ", text)[1:]]
    assert len(values) == len(variables)
    assert values[:-1] == list(variables.values())[:-1]


def test_a_partition_without_zone_gets_the_clusters_and_one_with_keeps_it() -> None:
    suite = Suite((SuiteJob("app", "true", "app"),), ClusterShape((Partition("a"), Partition("b", zone="z"))))
    plan = make(plan_builders.settings(), plan_builders.recipes(plan_builders.recipe(suite=suite)), plan_builders.LOCK)
    made = plan_rcc_tf.variables(plan.images, {"app": IMAGE}, "us-west1-b")
    assert [entry["zone"] for entry in made["partitions"]] == ["us-west1-b", "z"]


def test_partitions_that_go_first_use_the_family_and_the_others_its_channel() -> None:
    suite = Suite((SuiteJob("app", "true", "app"),), ClusterShape((Partition("a"), Partition("b"))))
    given = plan_builders.settings(
        channels={"stable": ["app"]}, rollout={"*-stable": {"hours": 12, "first": ["app-b", "app-c"]}}
    )
    plan = make(given, plan_builders.recipes(plan_builders.recipe(suite=suite)), plan_builders.LOCK)
    behind = staged(given, plan.images)
    (problem,) = check(given, plan.images, None)
    assert "rollout: there is no partition app-c; use one of: app-a, app-b" in str(problem)
    links = {"app": "new", "app-stable": "old"}
    made = plan_rcc_tf.variables(plan.images, links, "z", behind)
    assert {entry["name"]: entry["image"] for entry in made["partitions"]} == {"app-a": "old", "app-b": "new"}
    assert made["controller_image"] == made["login_image"] == "old"
    before = plan_rcc_tf.variables(plan.images, {"app": "new"}, "z", behind)
    assert [entry["image"] for entry in before["partitions"]] == ["new", "new"], "the channel points at nothing yet"


def test_the_settings_name_controller_login_and_partitions() -> None:
    names = ("head", "login", "app", "gpu")
    made = [plan_builders.recipe(name, "head" if number else "debian-12") for number, name in enumerate(names)]
    plan = make(plan_builders.settings(), plan_builders.recipes(*made), plan_builders.LOCK)
    links = {name: f"image-{name}" for name in names}

    def cluster(**given: Any) -> tuple[str, str, list[str]]:
        found = plan_rcc_tf.variables(plan.images, links, "z", cluster=ClusterSettings(**given))
        names = [one["name"] for one in found["partitions"]]
        return found["controller_image"], found["login_image"], names

    assert cluster() == ("image-head", "image-head", ["login", "app", "gpu"])
    assert cluster(login="login") == ("image-head", "image-login", ["app", "gpu"])
    assert cluster(controller="app") == ("image-app", "image-app", ["head", "login", "gpu"])
    assert cluster(login="login", partitions=("g*", "head")) == ("image-head", "image-login", ["head", "gpu"])
    del links["login"]
    assert plan_rcc_tf.variables(plan.images, links, "z", cluster=ClusterSettings(login="login")) == {}


@pytest.mark.parametrize(
    "link", [IMAGE, "projects/p/global/images/family/rcc", f"https://www.googleapis.com/compute/v1/{IMAGE}"]
)
def test_links_of_compute_engine_are_taken(link: str) -> None:
    assert rcc_tf.problems(given(outputs(login_image=link))) == []


def test_images_of_the_local_oven_are_refused_with_a_hint() -> None:
    said = refused(outputs(controller_image="/state/library/images/abc.qcow2"))
    assert "controller_image: '/state/library/images/abc.qcow2' is not a link of a Compute Engine image" in said
    assert "oven: cloud-build" in said


def test_all_that_is_wrong_is_said_at_once() -> None:
    broken = partition(max_node_count="2", gvnic=0, colour="red")
    del broken["exclusive"]
    said = refused(outputs(broken, partition()), cluster_name="Demo_1")
    for words in (
        "cluster_name: 'Demo_1' is not a cluster name",
        "partitions[0].max_node_count: '2' is not of type 'integer'",
        "partitions[0].gvnic: 0 is not of type 'boolean'",
        "partitions[0]: Additional properties are not allowed ('colour' was unexpected)",
        "partitions[0]: 'exclusive' is a required property",
        "duplicate partition name 'hpcc'",
    ):
        assert words in said


def test_true_is_no_number() -> None:
    assert "gpu_count: True" in refused(outputs(partition(gpu_count=True)))


def test_a_stack_without_images_makes_no_configuration() -> None:
    said = refused({})
    assert "'controller_image' is a required property" in said
    assert "'partitions' is a required property" in said


def test_no_zone_is_noticed() -> None:
    assert "zone: '' should be non-empty" in refused(outputs(), zone="")


@pytest.mark.parametrize(
    "partitions", [(Partition("debug"),), (Partition("cpu"), Partition("gpu", gpu_type="nvidia-l4"))]
)
def test_the_stacks_own_output_is_taken(partitions: tuple[Partition, ...]) -> None:
    """The stack output rcc_tf on Google Cloud has what rcc-tf's io.tf asks for."""
    suite = Suite((SuiteJob("app", "true", "app"),), ClusterShape(partitions))
    google = {"project": "some-project", "region": "us-west1"}
    settings = plan_builders.settings(oven="cloud-build", google=google)
    lock = Lock({Place.GOOGLE: {"debian-cloud/debian-12": plan_builders.BASE}})
    recipes = plan_builders.recipes(
        plan_builders.recipe("rcc-debian"), plan_builders.recipe("hpcc", "rcc-debian", suite=suite)
    )
    plan = make(settings, recipes, lock)
    links = {image.family: backend(settings).image_link(image.name, image.digest) for image in plan.images}
    written = json.loads(rcc_tf.render(given(plan_rcc_tf.variables(plan.images, links, "us-west1-b"))))
    assert len(written["partitions"]) == len(partitions)
    assert written["controller_image"] == f"projects/some-project/global/images/{plan.images[0].name}"
