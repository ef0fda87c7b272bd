from __future__ import annotations

from typing import Any

import pytest

from bakery.plan.plan import make
from bakery.plan.template import disk_options, for_builder, public_project
from tests.support.plan_builders import LOCK, recipe, recipes, settings, template

GOOGLE = {"type": "googlecompute", "image_family": "{{user `image_family`}}"}
OTHER = {"type": "qemu", "iso_url": "x"}


def entries(*more: dict[str, Any]) -> dict[str, Any]:
    return {"builders": [GOOGLE, OTHER], "provisioners": [{"type": "shell", "inline": ["first"]}, *more]}


def test_what_another_builder_runs_goes_with_it() -> None:
    given = entries(
        {"type": "shell", "inline": ["qemu"], "only": ["qemu"]},
        {"type": "shell", "inline": ["both"], "except": ["someone"]},
        {"type": "shell", "inline": ["not google"], "except": ["googlecompute"]},
        {
            "type": "shell",
            "inline": ["plain"],
            "override": {"qemu": {"inline": ["q"]}, "googlecompute": {"inline": ["g"]}},
        },
    ) | {"post-processors": [["manifest", {"type": "manifest", "only": ["qemu"]}], {"type": "x", "only": ["qemu"]}]}
    made = for_builder(given, GOOGLE)
    assert made["builders"] == [GOOGLE]
    assert made["provisioners"] == [
        {"type": "shell", "inline": ["first"]},
        {"type": "shell", "inline": ["both"]},
        {"type": "shell", "inline": ["g"]},
    ]
    assert made["post-processors"] == [["manifest"]]


def test_orders_name_no_builder_that_is_not_baked() -> None:
    made = template()
    made["builders"].append(OTHER)
    made["provisioners"].append({"type": "shell", "inline": ["x"], "only": ["qemu"]})
    made["provisioners"].append({"type": "shell", "inline": ["y"], "except": ["qemu"]})
    (image,) = make(settings(), recipes(recipe(template=made)), LOCK).images
    assert [entry["type"] for entry in image.template["builders"]] == ["googlecompute"]
    assert [set(entry) & {"only", "except", "override"} for entry in image.template["provisioners"]] == [set()] * 3


def test_several_googlecompute_builders_make_an_image_each() -> None:
    made = template()
    first = made["builders"][0]
    made["builders"] = [{**first, "name": "small", "disk_size": 10}, {**first, "name": "large", "disk_size": 50}]
    made["provisioners"].append({"type": "shell", "inline": ["x"], "only": ["large"]})
    small, large = make(settings(), recipes(recipe(template=made)), LOCK).images
    assert [(one.family, one.variant, len(one.template["provisioners"])) for one in (small, large)] == [
        ("app-small", "small", 2),
        ("app-large", "large", 3),
    ]
    assert small.digest != large.digest


def test_only_of_the_command_line_chooses_builders() -> None:
    made = template()
    made["builders"] = [{**made["builders"][0], "name": name} for name in ("small", "large")]
    one = recipe(template=made)
    one.build["steps"][0]["args"].insert(1, "-only=large")
    (image,) = make(settings(), recipes(one), LOCK).images
    assert (image.family, image.template["builders"][0]["name"]) == ("app", "large")


def test_an_option_that_is_not_known_counts() -> None:
    options = {"type": "googlecompute", "zone": "z", "ssh_timeout": "5m", "labels": {}, "disk_size": 1, "brand_new": 2}
    assert disk_options({"builders": [options]}) == {"disk_size": 1, "brand_new": 2}


@pytest.mark.parametrize(
    ("family", "project"),
    [
        ("debian-12", "debian-cloud"),
        ("ubuntu-minimal-2404-lts-amd64", "ubuntu-os-cloud"),
        ("rocky-linux-9", "rocky-linux-cloud"),
        ("sles-15-sp5-sap", "suse-sap-cloud"),
        ("debian-base", ""),
        ("my-ubuntu-22", ""),
    ],
)
def test_the_public_project_of_a_family(family: str, project: str) -> None:
    assert public_project(family) == project
