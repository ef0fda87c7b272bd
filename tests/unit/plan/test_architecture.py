"""Images for Arm: a family each, labels, and machines that can run them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.lock.model import Lock, LockedBase
from bakery.orders.model import run_order
from bakery.plan import architecture, rcc_tf
from bakery.plan.plan import draft, make
from bakery.recipe.model import ClusterShape, Partition, Recipe, Variant
from bakery.settings import Place
from bakery.settings.cluster import ClusterSettings
from tests.support.plan_builders import LOCK, recipe, recipes, settings

LABEL = "bakery-architecture"
ARM_BASE = "debian-12-arm64"
BOTH = Lock({Place.LOCAL: {**LOCK.bases[Place.LOCAL], f"debian-cloud/{ARM_BASE}": LockedBase("arm-1", "inrelease:1")}})


def arm(machine: str = "c4a-standard-4", said: str = "ARM64", base: str = ARM_BASE, **changes: Any) -> Recipe:
    made = recipe("app", base, **changes)
    options = {**made.template["builders"][0], "machine_type": machine, "image_architecture": said}
    return replace(made, template={**made.template, "builders": [{k: v for k, v in options.items() if v}]})


@pytest.mark.parametrize(
    ("name", "has"),
    [
        *(("t2a-standard-4", "arm64"), ("c4a-highmem-8-lssd", "arm64"), ("n4a-custom-4-8192", "arm64")),
        *(("c4-standard-4", "x86_64"), ("t2d-standard-1", "x86_64"), ("n1-standard-2", "x86_64")),
        *(("", ""), ("custom", ""), ("zones/z/machineTypes/t2a-standard-4", "")),
    ],
)
def test_a_machine_type_has_processors_of_one_kind(name: str, has: str) -> None:
    assert architecture.of_machine_type(name) == has


def test_an_image_for_arm_has_a_label_and_its_tests_know() -> None:
    (image,) = make(settings(), recipes(arm()), BOTH).images
    assert image.labels[LABEL] == "arm64"
    assert run_order(image).architecture == "arm64"
    assert "architecture" in str(image.inputs)


def test_without_the_option_the_image_is_for_the_machine_that_bakes() -> None:
    (image,) = make(settings(), recipes(arm("t2a-standard-4", "")), BOTH).images
    assert image.labels[LABEL] == "arm64"


def test_images_for_x86_are_as_they_were() -> None:
    (plain,) = make(settings(), recipes(recipe("app")), LOCK).images
    (said,) = make(settings(), recipes(arm("n2-standard-4", "X86_64", "debian-12")), LOCK).images
    assert LABEL not in plain.labels | said.labels
    assert run_order(plain).architecture == ""


@pytest.mark.parametrize(
    ("machine", "said", "base"),
    [
        *(("n2-standard-4", "ARM64", ARM_BASE), ("t2a-standard-4", "X86_64", "debian-12")),
        ("e2-standard-2", "ARM64", ARM_BASE),  # the plugin's own, if the template names none
    ],
)
def test_a_machine_with_other_processors_is_an_error_with_its_line(machine: str, said: str, base: str) -> None:
    with pytest.raises(InputError) as caught:
        make(settings(), recipes(arm("" if machine.startswith("e2") else machine, said, base)), BOTH)
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"app: the image is for {said.lower()}, and machine_type {machine} has ")
    assert "t2a-*" in problem.hint
    assert problem.line > 0


@pytest.mark.parametrize(
    ("machine", "base", "message"),
    [
        ("t2a-standard-4", "debian-12", "app: the image is for arm64, and its base debian-cloud/debian-12 for x86_64"),
        ("n2-standard-4", ARM_BASE, f"app: the image is for x86_64, and its base debian-cloud/{ARM_BASE} for arm64"),
    ],
)
def test_a_public_base_for_other_processors_is_an_error(machine: str, base: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        make(settings(), recipes(arm(machine, "", base)), BOTH)
    assert [problem.message for problem in caught.value.problems] == [message]


@pytest.mark.parametrize(
    ("base", "has"),
    [
        *(("ubuntu-os-cloud/ubuntu-2404-lts-amd64", "x86_64"), ("ubuntu-os-cloud/ubuntu-2204-lts-arm64", "arm64")),
        *(("rocky-linux-cloud/rocky-linux-9-optimized-gcp-arm64", "arm64"), ("p/debian-12", "")),
        *(("debian-cloud/debian-12-bookworm-arm64-v20260101", "arm64"), ("debian-cloud/our-base", "")),
    ],
)
def test_public_families_and_images_say_their_architecture(base: str, has: str) -> None:
    assert architecture.of_base(base) == has


def test_a_parent_for_other_processors_is_an_error() -> None:
    parent, child = arm(), replace(arm("n2-standard-4", "", "app"), name="child")
    builder = {**child.template["builders"][0], "image_family": "child"}
    child = replace(child, template={**child.template, "builders": [builder]})
    with pytest.raises(InputError, match="child: the image is for x86_64, and its base app for arm64"):
        make(settings(), recipes(parent, child), BOTH)


def test_an_architecture_that_no_image_has_is_an_error() -> None:
    with pytest.raises(InputError, match="app: riscv64 is not an architecture of images: x86_64 or arm64"):
        make(settings(), recipes(arm("", "riscv64", "debian-12")), LOCK)


def test_what_only_the_bake_knows_is_not_judged() -> None:
    plan = draft(settings(), recipes(arm("{{env `TYPE`}}")), BOTH)
    assert [problem.message for problem in plan.problems if "the image is for" in problem.message] == []


def test_the_machines_of_the_tests_have_to_fit_too() -> None:
    shape = ClusterShape((Partition("a", machine_type="c4a-standard-4"), Partition("b", machine_type="c2-standard-8")))
    made = arm()
    with pytest.raises(InputError, match="machine_type of partition b c2-standard-8 has x86_64"):
        make(settings(), recipes(replace(made, suite=replace(made.suite, cluster=shape))), BOTH)


def test_a_matrix_makes_a_family_for_each_architecture() -> None:
    options = {"machine_type": "{{user `machine`}}", "image_architecture": "{{user `arch`}}"}
    names = ("machine", "arch", "source_image_family")
    made = recipe("app")
    builder = {**made.template["builders"][0], **options}
    variables = {**made.template["variables"], **dict.fromkeys(names[:2], "")}
    words = {"machine": "_MACHINE", "arch": "_ARCH"}
    step = made.build["steps"][0]
    args = [*step["args"][:-1], *(w for k, v in words.items() for w in ("-var", f"{k}=${{{v}}}")), step["args"][-1]]
    kinds = {
        "x86": {"_MACHINE": "n2-standard-4", "_ARCH": "X86_64"},
        "arm": {"_MACHINE": "t2a-standard-4", "_ARCH": "ARM64", "_SOURCE_IMAGE_FAMILY": ARM_BASE},
    }
    both = replace(
        made,
        template={**made.template, "builders": [builder], "variables": variables},
        build={**made.build, "steps": [{**step, "args": args}]},
        variants=tuple(Variant(name, substitutions) for name, substitutions in kinds.items()),
    )
    images = make(settings(), recipes(both), BOTH).images
    assert {image.family: image.labels.get(LABEL, "") for image in images} == {"app-x86": "", "app-arm": "arm64"}
    assert len({image.digest for image in images}) == len(images)
    links = {image.family: f"link/{image.family}" for image in images}
    everywhere = ClusterSettings(partitions=("*",))
    partitions = rcc_tf.variables(images, links, "z", cluster=everywhere)["partitions"]
    kinds_of = {one["image"]: one["machine_type"] for one in partitions}
    assert kinds_of == {"link/app-x86": "n2-standard-4", "link/app-arm": "t2a-standard-4"}
