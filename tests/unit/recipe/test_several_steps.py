"""Builds with several calls of Packer, and the environment of a call: each image has the values of its own call."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import errors_among
from bakery.orders.model import bake_order
from bakery.ovens.cloud_build.request import build_request
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft
from bakery.preview.plan_report import PlanReport
from bakery.settings import parse
from tests.support import recipe_tree
from tests.support.plan_builders import LOCK
from tests.unit.recipe.test_as_written import (
    APP,
    BUILDER,
    INSTALL,
    VARIABLES,
    WHOLE,
    digest,
    errors,
    packer,
    plan,
    roots,
    sh,
    template,
    warnings,
)

assert roots  # a fixture
TWO = [{**BUILDER, "name": name, "image_family": name} for name in ("one", "two")]
GOOGLE = parse({"oven": "cloud-build", "google": {"project": "p", "region": "us-central1"}}, "gcp", Path("/c")).google


def named(words: str, **more: Any) -> dict[str, Any]:
    return {**packer(*words.split()), "id": words, **more}


def images(root: Path) -> tuple[ImagePlan, ...]:
    return draft(parse({"oven": "fake"}, "dev", root), recipe_tree.loaded(root), LOCK, locked=False).images


def digests(report: PlanReport) -> dict[str, str]:
    assert errors(report) == []
    return {decision.image.family: decision.image.digest for decision in report.decisions}


def test_each_builder_has_the_values_of_the_step_that_bakes_it(roots: tuple[Path, Path]) -> None:
    made = template(builders=TWO)
    reports = [
        plan(root, made, {"steps": [named(f"-only=one -var level={level}"), named("-except=one -var level=b")]})
        for root, level in zip(roots, "ac", strict=True)
    ]
    before, after = map(digests, reports)
    assert before["one"] != after["one"]
    assert before["two"] == after["two"]
    found = images(roots[0])
    assert [(image.family, image.variables["level"]) for image in found] == [("one", "a"), ("two", "b")]
    requests = [build_request(bake_order(image), GOOGLE, "z", "s", "t") for image in found]
    steps = [[step["id"] for step in request["steps"][1:]] for request in requests]
    assert steps == [["-only=one -var level=a"], ["-except=one -var level=b"]]


@pytest.mark.parametrize("word", ["-only=$_ONE", "-except=${_OTHERS}"])
def test_a_builder_may_be_chosen_by_substitutions(roots: tuple[Path, Path], word: str) -> None:
    made = template(builders=TWO)
    values = {"_ONE": "one", "_OTHERS": "two"}
    report = plan(roots[0], made, {"steps": [packer(word)], "substitutions": values})
    assert list(digests(report)) == ["one"]
    (image,) = images(roots[0])
    assert len(build_request(bake_order(image), GOOGLE, "z", "s", "t")["steps"]) == 2
    matrix = "matrix:\n  axes:\n    of:\n      a: {_ONE: one, _OTHERS: two}\n      b: {_ONE: two, _OTHERS: one}\n"
    report = plan(roots[1], made, {"steps": [packer(word)], "substitutions": values}, {f"{APP}/recipe.yaml": matrix})
    assert list(digests(report)) == ["one-a", "two-b"]


def hcl(*names: str) -> dict[str, str]:
    options = 'project_id = "p"\n source_image_family = "debian-12"\n source_image_project_id = ["debian-cloud"]\n'
    sources = "".join(f'source "googlecompute" "{name}" {{\n {options} image_family = "{name}"\n}}\n' for name in names)
    used = ", ".join(f'"source.googlecompute.{name}"' for name in names)
    body = 'provisioner "shell" {\n inline = [var.level]\n}\n'
    text = f'variable "level" {{\n default = "x"\n}}\n{sources}build {{\n sources = [{used}]\n{body}}}\n'
    return {f"{APP}/app.pkr.hcl": text}


def of_folder(words: str) -> dict[str, Any]:
    return {"id": words, "name": "hashicorp/packer", "args": ["build", *words.split(), APP]}


def test_steps_that_leave_out_other_sources_each(roots: tuple[Path, Path]) -> None:
    steps = [of_folder("-except=googlecompute.one"), of_folder("-except=googlecompute.two")]
    assert list(digests(plan(roots[0], build={"steps": steps}, files=hcl("one", "two")))) == ["one", "two"]


REFUSED: Mapping[str, tuple[dict[str, Any], dict[str, str], str]] = {
    "the same builder again": (
        {"steps": [named("-var level=a"), named("-var level=b")]},
        {},
        "step 2 bakes the builder googlecompute again as step 1; remove it, or make variants in recipe.yaml",
    ),
    "other values for one HCL2 template": (
        {"steps": [of_folder("-only=*.one -var level=a"), of_folder("-only=*.two -var level=b")]},
        hcl("one", "two"),
        "step 2 passes other values to the same template as step 1",
    ),
    "the same sources again": (
        {"steps": [of_folder("-var level=a"), {**of_folder("-var level=a"), "id": "again"}]},
        hcl("one"),
        "step 2 bakes the same sources again as step 1",
    ),
    "a template of another name": (
        {"steps": [{"name": "hashicorp/packer", "args": ["build", f"{APP}/gpu.json"]}]},
        {f"{APP}/gpu.json": "{}"},
        f"packer build reads '{APP}/gpu.json', which is not a template of this package; make a package of it, where",
    ),
    "another template besides": (
        {"steps": [packer(), {"name": "hashicorp/packer", "args": ["build", f"{APP}/gpu.json"]}]},
        {},
        f"packer build reads '{APP}/gpu.json', which is not a template of this package",
    ),
    "a template for each variant": (
        {"steps": [{"name": "x/packer", "args": ["build", f"{APP}/$_T.pkr.hcl"]}], "substitutions": {"_T": "app"}},
        {
            **hcl("one"),
            f"{APP}/other.pkr.hcl": "",
            f"{APP}/recipe.yaml": "matrix:\n  axes:\n    of: {a: {_T: app}, b: {_T: other}}\n",
        },
        f"variant b makes packer build read '{APP}/other.pkr.hcl' instead of '{APP}/app.pkr.hcl'",
    ),
}


@pytest.mark.parametrize("title", REFUSED)
def test_what_can_not_be_one_package_is_an_error_that_says_what_to_write(roots: tuple[Path, Path], title: str) -> None:
    build, files, message = REFUSED[title]
    found = errors(plan(roots[0], build=build, files=files))
    assert [message in one for one in found].count(True) == 1, found
    assert f"{APP}/cloudbuild.yaml:" in "".join(found)


def test_the_branches_of_a_shell_count_as_a_whole(roots: tuple[Path, Path]) -> None:
    text = f'if [ "$_MODE" = fast ]; then packer build -var level=%s {APP}/packer.json; '
    text += f"else packer build -var level=b {APP}/packer.json; fi"
    reports = [
        plan(root, build={"steps": [sh(text % level)], "substitutions": {"_MODE": "fast"}})
        for root, level in zip(roots, "ac", strict=True)
    ]
    one, two = map(digest, reports)
    assert one != two
    assert [len(warnings(report, WHOLE)) for report in reports] == [1, 1]


FROM_ENV = {"variables": {**VARIABLES, "level": "{{env `FOO`}}"}}
PLAIN = f"packer build {APP}/packer.json"
TOOL = {"provisioners": [INSTALL, {"type": "shell-local", "command": "make $MODE"}]}
ENVIRONMENTS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "before the command": (FROM_ENV, sh(f"FOO=%s {PLAIN}")),
    "by env": (FROM_ENV, sh(f"env FOO=%s {PLAIN}")),
    "exported": (FROM_ENV, sh(f"export FOO=%s\n{PLAIN}")),
    "exported later": (FROM_ENV, sh(f"FOO=%s\nexport FOO; {PLAIN}")),
    "set anew": (FROM_ENV, sh(f"FOO=%s; {PLAIN}", env=["FOO=x"])),
    "made of another one": (FROM_ENV, sh(f"A=%s; export FOO=$$A-1; {PLAIN}")),
    "read from a file": (FROM_ENV, sh(f"export FOO=$$(cat {APP}/%s); {PLAIN}")),
    "of a tool": (TOOL, packer(env=["MODE=%s"])),
    "of a tool, in a shell": (TOOL, sh(f"export MODE=%s; {PLAIN}")),
}


@pytest.mark.parametrize("title", ENVIRONMENTS)
def test_the_environment_of_packer_counts(roots: tuple[Path, Path], title: str) -> None:
    changes, step = ENVIRONMENTS[title]
    one, two = (
        digest(plan(root, template(**changes), {"steps": [json.loads(json.dumps(step).replace("%s", value))]}))
        for root, value in zip(roots, ("first", "second"), strict=True)
    )
    assert one != two


def test_a_shells_variable_that_is_not_exported_is_none_of_packers(roots: tuple[Path, Path]) -> None:
    plan(roots[0], template(**FROM_ENV), {"steps": [sh(f"FOO=first; {PLAIN}")]})
    assert [image.variables["level"] for image in images(roots[0])] == [""]


def test_variants_whose_tools_have_another_environment_are_other_images(roots: tuple[Path, Path]) -> None:
    build = {"steps": [packer(env=["MODE=$_MODE", "PACKER_LOG=$_LOG"])], "substitutions": {"_MODE": "a", "_LOG": "1"}}
    axes = "matrix:\n  axes:\n    of: {a: {_MODE: a}, b: {_MODE: b}, c: {_MODE: a, _LOG: '2'}}\n"
    found = digests(plan(roots[0], template(**TOOL), build, {f"{APP}/recipe.yaml": axes}))
    assert found["app-a"] != found["app-b"]
    assert found["app-a"] == found["app-c"], "a setting of Packer itself"


@pytest.mark.parametrize("place", ["", "common", "packages/other"])
def test_the_name_of_the_builder_counts_if_a_script_may_read_it(roots: tuple[Path, Path], place: str) -> None:
    script = f"{place or APP}/x.sh"
    made = [{"type": "shell", "script": script}]
    found = []
    for root, name in zip(roots, "ab", strict=True):
        for text in ("echo $PACKER_BUILD_NAME", "true"):
            builder = {**BUILDER, "name": name}
            report = plan(root / text[:4], template(builders=[builder], provisioners=made), files={script: text})
            found.append(digest(report))
    reads, _, other, _ = found
    assert reads != other
    assert found[1] == found[3]


@pytest.mark.parametrize("name", ["isotime", "timestamp", "uuid", "vault `a` `b`"])
def test_a_value_that_only_the_bake_knows_is_said(roots: tuple[Path, Path], name: str) -> None:
    direct = [{"type": "shell", "inline": [f"echo {{{{{name}}}}}"]}]
    assert len(warnings(plan(roots[0], template(provisioners=direct)), "does not count in the digest")) == 1
    through = {"variables": {**VARIABLES, "level": f"{{{{{name}}}}}"}}
    assert len(warnings(plan(roots[1], template(**through)), "does not count in the digest")) == 1


def test_a_time_in_a_name_is_not_said(roots: tuple[Path, Path]) -> None:
    made = template(builders=[{**BUILDER, "image_name": "app-{{timestamp}}"}])
    assert warnings(plan(roots[0], made), "only known in the bake") == []


@pytest.mark.parametrize("option", ["image_platform_key", "image_signatures_db"])
def test_keys_of_secure_boot_are_files(roots: tuple[Path, Path], option: str) -> None:
    path = f"{APP}/key.der"
    made = template(builders=[{**BUILDER, option: path if option == "image_platform_key" else [path]}])
    one, two = (digest(plan(root, made, files={path: text})) for root, text in zip(roots, "12", strict=True))
    assert one != two
    (roots[0] / path).unlink()
    assert f"{option} '{path}' does not exist" in "".join(errors(plan(roots[0], made))).replace(" 0 ", " ")


@pytest.mark.parametrize("generated", [True, "true", "1"])
def test_a_file_that_is_made_in_the_bake_takes_the_package(roots: tuple[Path, Path], generated: object) -> None:
    entry = {"type": "file", "source": f"{APP}/made", "destination": "/tmp/", "generated": generated}
    reports = [
        plan(root, template(provisioners=[INSTALL, entry]), files={f"{APP}/Makefile": text})
        for root, text in zip(roots, "12", strict=True)
    ]
    one, two = map(digest, reports)
    assert one != two


@pytest.mark.parametrize("name", ["cloudbuild.yml", "cloudbuild.json"])
def test_a_build_file_of_another_name_is_an_error(tmp_path: Path, name: str) -> None:
    recipe_tree.write(tmp_path, {"cloudbuild.yaml": None, name: recipe_tree.build()})
    said = [(one.file.rpartition("/")[2], one.hint) for one in errors_among(recipe_tree.loaded(tmp_path).problems)]
    assert said == [(name, "rename it to cloudbuild.yaml")]


def test_a_template_that_is_not_read_is_said(tmp_path: Path) -> None:
    found = recipe_tree.spoilt(tmp_path, {"cloudbuild.yaml": None, "app.pkr.hcl": ""})
    said = [one for one in found if one.file.endswith("app.pkr.hcl")]
    assert [one.message for one in said] == ["is not read, since there is a packer.json"]


def test_the_environment_of_an_expression_that_is_left_to_packer_counts(roots: tuple[Path, Path]) -> None:
    files = {path: text.replace('"x"', 'env("LEVEL")') for path, text in hcl("one").items()}
    one, two = (
        digest(plan(root, build={"steps": [{**of_folder(""), "env": [f"LEVEL={value}"]}]}, files=files))
        for root, value in zip(roots, "12", strict=True)
    )
    assert one != two
