"""What the bakery gives to Terraform is what rcc-tf and Cluster Toolkit declare.

``RCC_TF`` and ``CLUSTER_TOOLKIT`` name checkouts; without them the files beside this test stand in, with the same
shapes. Read from rcc-tf cb3d186 (2022-06-27) and Cluster Toolkit 1047080 (2026-06-25).
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bakery.backends.promoted import describe
from bakery.lock.model import Lock, Place
from bakery.plan.plan import make
from bakery.plan.rcc_tf import variables
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.report import rcc_tf
from tests.support import plan_builders, terraform
from tests.support.root import ROOT
from tests.support.schemas import published

HERE = Path(__file__).parent / "terraform"
MODULES = (
    "community/modules/compute/schedmd-slurm-gcp-v6-nodeset",
    "community/modules/scheduler/schedmd-slurm-gcp-v6-controller",
    "community/modules/scheduler/schedmd-slurm-gcp-v6-login",
)
PAGE = (ROOT / "docs/consumers.md").read_text(encoding="utf-8")


@pytest.fixture(params=["same shapes", "checkout"])
def rcc_tf_variables(request: pytest.FixtureRequest) -> dict[str, terraform.Variable]:
    if request.param == "same shapes":
        return terraform.variables(HERE / "io.tf")
    if "RCC_TF" not in os.environ:
        pytest.skip("RCC_TF names no checkout of rcc-tf")
    return terraform.variables(Path(os.environ["RCC_TF"]) / "io.tf")


@pytest.fixture(params=["same shapes", *MODULES])
def module(request: pytest.FixtureRequest) -> dict[str, terraform.Variable]:
    if request.param == "same shapes":
        return terraform.variables(HERE / "variables.tf")
    if "CLUSTER_TOOLKIT" not in os.environ:
        pytest.skip("CLUSTER_TOOLKIT names no checkout of Cluster Toolkit")
    folder = Path(os.environ["CLUSTER_TOOLKIT"]) / request.param
    found = {
        name: one for file in sorted(folder.glob("variables*.tf")) for name, one in terraform.variables(file).items()
    }
    return found


def output() -> dict[str, Any]:
    """The variables of a stack with every kind of partition."""
    partitions = (
        Partition("plain"),
        Partition("gpu", machine_type="n1-standard-8", gpu_type="nvidia-tesla-t4", gpu_count=2, preemptible=True),
        Partition(
            "new", 4, machine_type="n4-standard-8", nic_type=NicType.GVNIC, threads_per_core=2, zone="us-west1-a"
        ),
        Partition("close", machine_type="c2-standard-60", compact_placement=True, disk_type="pd-ssd", disk_size_gb=80),
        Partition("spot", machine_type="c3-standard-8", provisioning=Provisioning.SPOT),
    )
    suite = Suite((SuiteJob("app", "true", "app"),), ClusterShape(partitions))
    google = {"project": "some-project", "region": "us-west1"}
    given = plan_builders.settings(oven="cloud-build", google=google)
    lock = Lock({Place.GOOGLE: {"debian-cloud/debian-12": plan_builders.BASE}})
    plan = make(given, plan_builders.recipes(plan_builders.recipe(suite=suite)), lock)
    links = {"app": "projects/some-project/global/images/app-0123456789ab"}
    cluster = {"cluster_name": "demo", "project": "some-project", "zone": "us-west1-b"}
    return cluster | variables(plan.images, links, "us-west1-b")


def test_the_output_is_what_rcc_tf_declares(rcc_tf_variables: dict[str, terraform.Variable]) -> None:
    values = output()
    assert terraform.faults(rcc_tf_variables, json.loads(rcc_tf.render(values))) == []
    disks = {one["name"]: one["compute_disk_type"] for one in values["partitions"]}
    assert disks == {
        **{"app-plain": "pd-standard", "app-gpu": "pd-standard", "app-close": "pd-ssd"},
        **{"app-new": "hyperdisk-balanced", "app-spot": "pd-balanced"},
    }


def test_the_schema_has_the_attributes_of_a_partition_that_rcc_tf_declares(
    rcc_tf_variables: dict[str, terraform.Variable],
) -> None:
    values = output()
    for name in published("tfvars")["$defs"]["partition"]["required"]:
        del values["partitions"][0][name]
    missing = {one.rpartition(" attribute ")[2] for one in terraform.faults(rcc_tf_variables, values)}
    required = published("tfvars")["$defs"]["partition"]["required"]
    assert missing == {f"{name} is missing" for name in required}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"partitions": [{"name": 1}]}, "partitions[0].name: 1 is not a string"),
        ({"partitions": "one"}, "partitions: 'one' is not a list"),
        ({"colour": "red"}, "colour: not declared"),
        ({"compute_node_scopes": [True]}, "compute_node_scopes[0]: True is not a string"),
    ],
)
def test_what_terraform_would_reject_is_seen(changes: dict[str, Any], says: str) -> None:
    assert says in terraform.faults(terraform.variables(HERE / "io.tf"), output() | changes)


def test_the_blueprint_of_the_page_gives_what_the_modules_declare(module: dict[str, terraform.Variable]) -> None:
    (block,) = re.findall(r"(?ms)^```yaml\n(.*?)^```$", PAGE)
    (group,) = yaml.safe_load(block)["deployment_groups"]
    given = [one["settings"] for one in group["modules"] if "instance_image" in one.get("settings", {})]
    assert len(given) == 2
    for settings in given:
        assert is_an_image(module, {key: settings[key] for key in ("instance_image", "instance_image_custom")})


def test_the_field_instance_image_is_what_the_modules_declare(
    module: dict[str, terraform.Variable], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bakery.backends import backend
    from bakery.library.base import ImageRecord

    chosen = backend(plan_builders.settings(oven="cloud-build", google={"project": "p", "region": "us-west1"}))
    record = ImageRecord("app-1", "d", "app", "", "app", "2026-01-01T00:00:00Z")
    told = describe(chosen, record, None, None, in_use=True)
    assert is_an_image(module, {"instance_image": told["instance_image"], "instance_image_custom": True})


def is_an_image(module: dict[str, terraform.Variable], values: dict[str, Any]) -> bool:
    """Whether the types are right, and the modules' conditions hold: a project, and either name or family."""
    declared = {name: one for name, one in module.items() if name in values}
    assert declared.keys() == values.keys()
    assert terraform.faults(declared, values) == []
    image = values["instance_image"]
    return bool(image["project"]) and bool(image.get("name")) != bool(image.get("family"))
