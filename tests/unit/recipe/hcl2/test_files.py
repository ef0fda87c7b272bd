"""Files that functions of an HCL2 template read and list: which ones these are, and that they count."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from bakery.errors import errors_among
from bakery.host.revision import path_in
from bakery.lock.model import Lock
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft
from bakery.plan.trigger_paths import watched
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

STEP = 'provisioner "shell" {\n  inline = [%s]\n}\n'


def globs(image: ImagePlan, root: Path) -> tuple[str, ...]:
    settings = parse({"oven": "fake"}, "test", root)
    return watched(image, {image.family: image}, settings, partial(path_in, root))


EACH = """dynamic "provisioner" {
  labels   = ["file"]
  for_each = fileset(%s)
  content {
    source      = "${path.root}/scripts/${provisioner.key}"
    destination = "/tmp/${provisioner.value}"
  }
}
"""


def given(body: str, **files: str) -> dict[str, str | bytes | None]:
    text = f'{hcl2_tree.SOURCE}build {{\n  sources = ["source.googlecompute.app"]\n{body}}}\n'
    return hcl2_tree.changed({"app.pkr.hcl": text, "env/spack.yaml": None, **files})


def image(root: Path, body: str, **files: str) -> ImagePlan:
    recipe_tree.write(root, given(body, **files))
    recipes = recipe_tree.loaded(root)
    assert [str(one) for one in errors_among(recipes.problems)] == []
    (found,) = draft(parse({"oven": "fake"}, "test", root), recipes, Lock(), locked=False).images
    return found


def errors(root: Path, body: str, **files: str) -> list[tuple[str, str]]:
    recipe_tree.write(root, given(body, **files))
    return [(one.message, one.hint) for one in errors_among(recipe_tree.loaded(root).problems)]


def paths(found: ImagePlan) -> set[str]:
    return {file.path for file in found.files}


def test_a_set_of_files_decides_how_many_blocks_there_are(tmp_path: Path) -> None:
    scripts = {f"scripts/{name}.sh": name for name in "ba"}
    first = image(tmp_path / "1", EACH % '"scripts", "*.sh"', **scripts)
    sources = [step["source"] for step in first.template["provisioners"]]
    assert sources == ["{{template_dir}}/scripts/a.sh", "{{template_dir}}/scripts/b.sh"]
    assert {"packages/app/scripts/a.sh", "packages/app/scripts/b.sh"} <= paths(first)
    more = image(tmp_path / "2", EACH % '"scripts", "*.sh"', **scripts, **{"scripts/c.sh": ""})
    changed = image(tmp_path / "3", EACH % '"scripts", "*.sh"', **{**scripts, "scripts/a.sh": "changed"})
    other = image(tmp_path / "4", EACH % '"scripts", "*.sh"', **scripts, **{"scripts/readme.md": ""})
    assert len({one.digest for one in (first, more, changed)}) == 3
    assert other.digest == first.digest


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (EACH % '"scripts", "*.sh"', "packages/app/scripts/**"),
        (STEP % 'join(" ", fileset("../../common", "etc/*"))', "common/etc/**"),
        (STEP % 'fileexists("later.txt") ? "a" : "b"', "packages/app/later.txt"),
    ],
)
def test_a_file_that_is_not_there_yet_is_watched(tmp_path: Path, body: str, wanted: str) -> None:
    found = image(tmp_path, body, **{"scripts/a.sh": ""})
    assert wanted in globs(found, tmp_path)


def test_a_set_of_files_of_another_package_is_followed_and_watched(tmp_path: Path) -> None:
    body = EACH % '"../other", "*.{sh,py}"'
    body = body.replace("scripts/", "../other/")
    others = ("b.py", "a.sh", "c.txt")
    for name in others:
        recipe_tree.put(tmp_path / "packages/other" / name, name)
    found = image(tmp_path, body)
    sources = [step["source"] for step in found.template["provisioners"]]
    assert sources == ["{{template_dir}}/../other/a.sh", "{{template_dir}}/../other/b.py"]
    assert {"packages/other/a.sh", "packages/other/b.py"} <= paths(found)
    assert "packages/other/c.txt" not in paths(found)
    recipe_tree.put(tmp_path / "packages/other/d.sh", "")
    more = image(tmp_path, body)
    assert more.digest != found.digest
    assert "packages/other/**" in globs(more, tmp_path)


def test_a_set_of_files_of_common_is_followed(tmp_path: Path) -> None:
    found = image(tmp_path, STEP % 'join(" ", fileset("../../common", "**"))')
    assert found.template["provisioners"][0]["inline"] == ["etc/sysctl.conf"]


@pytest.mark.parametrize("text", ['file("../other/x.txt")', 'templatefile("../other/x.txt", {})'])
def test_a_file_of_another_package_is_staged_and_counts(tmp_path: Path, text: str) -> None:
    digests = set()
    for content in "12":
        recipe_tree.put(tmp_path / content / "packages/other/x.txt", content)
        found = image(tmp_path / content, STEP % text)
        assert "packages/other/x.txt" in paths(found)
        digests.add(found.digest)
    assert len(digests) == 2


def test_what_may_be_looked_for_in_the_bake_is_staged(tmp_path: Path) -> None:
    """Packer gives another answer, and no error, where these files are not."""
    found = image(tmp_path, STEP % 'join(" ", fileset("../../common/etc", "[!a]*"))')
    assert "common/etc/sysctl.conf" in paths(found)
    found = image(tmp_path, STEP % 'fileexists("${timestamp()}") ? "a" : "b"')
    assert {"common/etc/sysctl.conf", "packages/app/install.sh"} <= paths(found)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ('file("packages/app/install.sh")', '"packages/app/install.sh" does not exist', 'write "install.sh"'),
        ('file("${path.root}/install.sh")', '"packages/app/install.sh" does not exist', 'write "install.sh"'),
        ('file("common/etc/sysctl.conf")', '"common/etc/sysctl.conf" does not exist', 'write "../../common/etc/sysctl'),
        ('file("none")', '"none" does not exist', "add the file, or fix the path"),
        ('filebase64("install.sh")', '"install.sh" does not exist', "add the file"),
        ('file("env")', '"env" is a folder', "name a file"),
        ('try(file("/etc/hostname"), "none")', "which is outside the package and common", "put the file into"),
        ('try(file("~/.bashrc"), "none")', "which is outside the package and common", "put the file into"),
        ('try(file("../../../x"), "none")', "which is outside the package and common", "put the file into"),
        ('join("", fileset("..", "*/*"))', "which is more than the package", "name a folder"),
        ('join("", fileset("../..", "*"))', "which is more than the package", "name a folder"),
        ("fileset(1)", "fileset needs a folder and a pattern", 'write fileset("folder"'),
    ],
)
def test_a_path_that_is_wrong(tmp_path: Path, text: str, message: str, hint: str) -> None:
    ((found, how),) = errors(tmp_path, STEP % text, **{"env/x": ""})
    assert message in found
    assert hint in how


def test_the_absolute_path_of_the_workspace_is_the_workspace(tmp_path: Path) -> None:
    found = image(tmp_path, STEP % 'trimspace(file("/workspace/packages/app/install.sh"))')
    assert found.template["provisioners"][0]["inline"] == ["#!/bin/bash"]


@pytest.mark.parametrize(
    "steps",
    [
        "- {name: hashicorp/packer, args: [build, -only=*.app, packages/app]}\n"
        "- {name: hashicorp/packer, dir: packages/app, args: [build, -only=*.none, .]}\n",
        "- {name: hashicorp/packer, entrypoint: sh, args: [-c, 'packer build $$HERE']}\n",
    ],
)
def test_paths_whose_beginning_is_not_known_are_left_to_packer(tmp_path: Path, steps: str) -> None:
    found = image(tmp_path, STEP % 'filebase64("install.sh")', **{"cloudbuild.yaml": f"steps:\n{steps}"})
    assert found.template["provisioners"][0]["inline"] == ['{{hcl "filebase64(\\"install.sh\\")"}}']
    assert "packages/app/fluidrun.yaml" in paths(found)


def test_a_loop_over_a_set_has_its_elements_as_keys(tmp_path: Path) -> None:
    body = 'dynamic "provisioner" {\n labels = ["shell"]\n for_each = var.names\n content {\n'
    body += "  inline = [provisioner.key]\n }\n}\n"
    declared = 'variable "names" {\n type = set(string)\n default = ["b", "a"]\n}\n'
    found = image(tmp_path, body, **{"names.pkr.hcl": declared})
    assert [step["inline"] for step in found.template["provisioners"]] == [["a"], ["b"]]
