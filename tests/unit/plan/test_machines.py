"""Partitions of tests that the image or the stack can't serve are problems of the plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.plan.plan import draft, make
from bakery.plan.rcc_tf import variables
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition, Recipe
from tests.support.plan_builders import LOCK, recipe, recipes, settings

FALCON = {"profile": "us-central1-a-vpc-falcon", "subnetworks": ["rdma-0"]}
H4D = Partition("h4d", 2, machine_type="h4d-standard-192", nic_type=NicType.IRDMA, rdma_network="falcon")


def with_nodes(*partitions: Partition, name: str = "app", features: list[str] | None = None, **changes: Any) -> Recipe:
    made = recipe(name, **changes)
    assert made.suite is not None
    options = {**made.template["builders"][0], **({"image_guest_os_features": features} if features else {})}
    template = {**made.template, "builders": [options]}
    return replace(made, template=template, suite=replace(made.suite, cluster=ClusterShape(partitions)))


def google(**changes: Any) -> Any:
    given = {"project": "p", "region": "us-central1", "zones": ["us-central1-a"], **changes}
    return settings(oven="cloud-build", google=given)


def messages(made: Any) -> str:
    return "\n".join(problem.message for problem in made.problems)


def test_a_partition_needs_an_image_with_its_driver() -> None:
    metal = Partition("m", machine_type="c3-standard-192-metal", nic_type=NicType.IDPF)
    with pytest.raises(
        InputError, match="partition m need the guest OS feature IDPF, which the image does not"
    ) as caught:
        make(settings(), recipes(with_nodes(metal)), LOCK)
    (problem,) = caught.value.problems
    assert problem.line > 0
    assert "image_guest_os_features" in problem.hint
    assert make(settings(), recipes(with_nodes(metal, features=["IDPF"])), LOCK).images
    assert make(
        settings(), recipes(with_nodes(replace(metal, machine_type="c3-standard-8", nic_type=NicType.GVNIC))), LOCK
    )


def test_a_parents_features_are_the_childs_and_an_unknown_base_is_not_judged() -> None:
    metal = Partition("m", machine_type="c3-standard-192-metal", nic_type=NicType.IDPF)
    parent = with_nodes(name="base", features=["IDPF"])
    child = with_nodes(metal, parent="base", substitutions={"_SOURCE_IMAGE_PROJECT": ""})
    assert "guest OS feature" not in messages(draft(settings(), recipes(parent, child), LOCK))
    assert "guest OS feature" in messages(draft(settings(), recipes(with_nodes(name="base"), child), LOCK))
    other = with_nodes(metal, parent="golden", substitutions={"_SOURCE_IMAGE_PROJECT": "site-images"})
    assert "guest OS feature" not in messages(draft(settings(), recipes(other), LOCK))


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ({}, "google.rdmaNetworks has no falcon, which partition h4d names"),
        ({"falcon": {**FALCON, "profile": "us-central1-a-vpc-roce"}}, "has MRDMA, not IRDMA"),
        ({"falcon": {**FALCON, "profile": "us-central1-b-vpc-falcon"}}, "are in us-central1-b, where no test runs"),
    ],
)
def test_a_network_for_rdma_is_one_of_the_stack(networks: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError) as caught:
        make(google(rdmaNetworks=networks), recipes(with_nodes(H4D)), LOCK)
    assert says in messages(caught.value)


def test_what_the_stack_has_is_no_problem_and_a_local_stack_needs_none() -> None:
    plan = draft(google(rdmaNetworks={"falcon": FALCON}), recipes(with_nodes(H4D)), LOCK, locked=False)
    assert "rdmaNetworks" not in messages(plan)
    assert make(settings(), recipes(with_nodes(H4D)), LOCK).images


def test_rcc_tf_gets_what_it_knows_of_a_partition() -> None:
    part = Partition("c", 2, machine_type="c2-standard-8", threads_per_core=2, disk_type="pd-ssd")
    part = replace(part, nic_type=NicType.GVNIC, provisioning=Provisioning.SPOT)
    (image,) = make(settings(), recipes(with_nodes(part)), LOCK).images
    (found,) = variables([image], {image.family: "link"}, "z")["partitions"]
    assert (found["image_hyperthreads"], found["compute_disk_type"]) == (True, "pd-ssd")
    assert (found["gvnic"], found["preemptible_bursting"]) == (True, True)
