"""Names of layers: what a change of a recipe leaves, and what it takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bakery import redaction
from bakery.orders.model import BakeOrder
from bakery.ovens.local import layer_names
from bakery.ovens.local.layer_names import LayerNames
from bakery.plan.template import BUILDER_NAMES
from bakery.recipe.model import Json
from tests.support.bake_orders import order, source

SHELL = {"type": "shell", "scripts": ["{{user `pkg_path`}}/one.sh", "{{user `pkg_path`}}/two.sh"]}
STEPS: list[Json] = [{"type": "file", "source": "{{user `pkg_path`}}/share", "destination": "/tmp/"}, SHELL]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "base.qcow2"
    file.write_bytes(b"disk")
    return file


def recipe(folder: Path, steps: list[Json] | None = None, **texts: str) -> BakeOrder:
    """An order with three provisioners: a folder, and two scripts; ``texts`` are contents of files."""
    contents = {"share/text": "text", "one.sh": "one", "two.sh": "two"} | {
        key.replace("_", "."): text for key, text in texts.items()
    }
    files = tuple(source(folder, f"packages/app/{name}", text) for name, text in contents.items())
    made = order("app", files)
    return replace(made, template={**made.template, "provisioners": STEPS if steps is None else steps})


def test_mirrors_of_packages_are_on_the_disk_of_a_layer(tmp_path: Path, base: Path) -> None:
    made = recipe(tmp_path)
    plain, one, two = (
        layer_names.layer_names(made, base, 10, mirrors).names
        for mirrors in ({}, {"http://a.example": "http://m.example"}, {"http://a.example": "http://n.example"})
    )
    assert plain == names(made, base)
    assert len({plain, one, two}) == 3


def names(order: BakeOrder, base: Path, size_gb: int = 10) -> tuple[str, ...]:
    found = layer_names.layer_names(order, base, size_gb)
    assert found.end == ""
    return found.names


def kept(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many names at the beginning are the same; the others are all different."""
    same = [left == right for left, right in zip(one, other, strict=True)]
    assert same == sorted(same, reverse=True)
    return sum(same)


def test_every_script_has_a_name_and_the_same_recipe_the_same(tmp_path: Path, base: Path) -> None:
    one, other = names(recipe(tmp_path / "a"), base), names(recipe(tmp_path / "b"), base)
    assert (len(set(one)), one) == (3, other)


@pytest.mark.parametrize(("file", "left"), [("share/text", 0), ("one_sh", 1), ("two_sh", 2)])
def test_a_changed_file_takes_the_layers_from_its_provisioner_on(
    tmp_path: Path, base: Path, file: str, left: int
) -> None:
    assert kept(names(recipe(tmp_path), base), names(recipe(tmp_path / "b", **{file: "changed"}), base)) == left


def with_variables(made: BakeOrder, **values: str) -> BakeOrder:
    return replace(made, variables={**made.variables, **values})


def test_a_variable_counts_from_the_provisioner_on_that_refers_to_it(tmp_path: Path, base: Path) -> None:
    told = [*STEPS, {"type": "shell", "inline": ["echo {{user `message`}} {{user `way`}}"]}]
    made = recipe(tmp_path, told)
    template = {**made.template, "variables": {**made.template["variables"], "way": "by {{user `road`}}", "road": "a"}}
    made = replace(made, template=template)
    assert kept(names(made, base), names(with_variables(made, message="bye"), base)) == 3
    assert kept(names(made, base), names(with_variables(made, road="b"), base)) == 3
    assert names(made, base) == names(with_variables(made, other="of no provisioner"), base)


def test_the_route_of_downloads_does_not_count(tmp_path: Path, base: Path) -> None:
    told = [{"type": "shell", "inline": ["fetch {{user `spack_mirror`}}"]}]
    made = recipe(tmp_path, told)
    made = replace(made, template={**made.template, "variables": {"spack_mirror": ""}})
    assert names(made, base) == names(with_variables(made, spack_mirror="http://10.0.2.2:4711/x"), base)


CHANGES: dict[str, Callable[[BakeOrder], BakeOrder]] = {
    "another parent": lambda made: replace(made, base=made.base._replace(digest="inrelease:other")),
    "another option of the builder": lambda made: replace(
        made, template={**made.template, "builders": [{**made.template["builders"][0], "ssh_username": "other"}]}
    ),
    "another nonce": lambda made: replace(made, inputs={**made.inputs, "nonce": "again"}),
    "another name of the builder": lambda made: replace(made, inputs={**made.inputs, BUILDER_NAMES: "other"}),
    "a value of such an option": lambda made: with_variables(made, disk="4"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_before_the_first_provisioner_counts_for_all(
    tmp_path: Path, base: Path, change: Callable[[BakeOrder], BakeOrder]
) -> None:
    made = recipe(tmp_path)
    assert kept(names(made, base), names(change(made), base)) == 0


def test_another_file_of_the_base_and_another_size_count_for_all(tmp_path: Path, base: Path) -> None:
    made = recipe(tmp_path)
    before = names(made, base)
    assert kept(before, names(made, base, 11)) == 0
    os.utime(base, (1, 1))
    assert kept(before, names(made, base)) == 0


@pytest.mark.parametrize(
    ("step", "end"),
    [
        ({"type": "shell-local", "inline": ["true"]}, "it works on this computer, too"),
        ({"type": "ansible", "playbook_file": "site.yml"}, "it works on this computer, too"),
        ({"type": "file", "direction": "download", "source": "/x"}, "it works on this computer, too"),
        ({"type": "shell", "inline": ["login {{user `token`}}"]}, "it is given a secret"),
        ({"type": "shell", "inline": ["login {{user `hidden`}}"]}, "it is given a secret"),
        ({"type": "shell", "inline": ["sign {{user `spack_cache_key`}}"]}, "it is given a secret"),
        ({"type": "shell", "inline": ["{{hcl `timestamp()`}}"]}, "Packer evaluates expressions in it"),
    ],
)  # fmt: skip
def test_there_is_none_from_a_provisioner_on_that_gives_more_than_a_disk(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch, step: Json, end: str
) -> None:
    monkeypatch.setattr(redaction, "_marks", {"s3cret": "[secret spack.mirror]"})
    made = recipe(tmp_path, [STEPS[0], step, SHELL])
    given = {"token": "s3cret", "hidden": "word", "spack_cache_key": "/keys/it"}
    template = {
        **made.template,
        "sensitive-variables": ["hidden"],
        "variables": {**made.template["variables"], **given},
    }
    found = layer_names.layer_names(replace(made, template=template), base, 10)
    assert (len(found.names), found.end) == (1, end)


def test_a_secret_that_is_not_set_is_none(tmp_path: Path, base: Path) -> None:
    made = recipe(tmp_path, [{"type": "shell", "inline": ["sign {{user `spack_cache_key`}}"]}])
    template = {**made.template, "variables": {"spack_cache_key": ""}}
    assert len(names(replace(made, template=template), base)) == 1


def test_a_recipe_without_provisioners_has_no_layers(tmp_path: Path, base: Path) -> None:
    assert layer_names.layer_names(recipe(tmp_path, []), base, 10) == LayerNames()
