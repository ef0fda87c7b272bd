"""What the local oven gives to Packer for an HCL2 template; the Packer of this machine takes it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.lock.model import Lock
from bakery.orders.model import BakeOrder, bake_order
from bakery.ovens.local import packer
from bakery.ovens.local.template import BORDER, Rendering, render
from bakery.plan.plan import draft
from bakery.recipe.stage import stage
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

NULL = {"type": "null", "communicator": "none"}  # a builder without a machine
SETTINGS = parse({"oven": "fake"}, "test", Path("/checkout"))
LOCALLY = 'provisioner "shell-local" {\n inline = ["printf \'%%s\\n\' ${var.compiler} %s"]\n}\n'


def order(root: Path, body: str, declared: str = "", **files: str) -> BakeOrder:
    build = f'build {{\n sources = ["source.googlecompute.app"]\n{body}}}\n'
    text = hcl2_tree.SOURCE + declared + build
    recipe_tree.write(root, hcl2_tree.changed({"app.pkr.hcl": text, **files}))
    (image,) = draft(SETTINGS, recipe_tree.loaded(root), Lock(), locked=False).images
    return bake_order(image)


def rendered(given: BakeOrder, **options: Any) -> Rendering:
    return render(given, NULL, Path("/w"), **options)


def baked(rendering: Rendering, folder: Path, crossed: Sequence[int] = ()) -> str:
    """Run Packer on the rendering, without the options that only a machine has; returns its output."""
    local = replace(rendering, template=_without_machine(rendering.template))
    call = packer.PackerRun(local, folder, folder / "workspace", folder / "log")
    call.write()
    for number in crossed:
        (folder / f"{BORDER}{number}").touch()
    command = packer.command(local, folder, keep_failed=False)
    environment = {**os.environ, **packer.environment(folder, os.path.relpath(folder, call.folder))}
    done = subprocess.run(command, cwd=call.folder, env=environment, check=False, text=True, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stdout
    return done.stdout


def _without_machine(template: Any) -> Any:
    text = json.loads(json.dumps(template))
    builder = text["builders"][0] if "builders" in text else next(iter(text["source"]["null"].values()))
    for key in [key for key in builder if key.startswith("ssh_")]:
        del builder[key]
    return text


def test_what_is_followed_is_a_json_template_for_every_packer(tmp_path: Path) -> None:
    found = rendered(order(tmp_path, LOCALLY % "$HOME-$((1 + 1))"), sync_on_error=True)
    assert (found.file, found.builder) == ("packer.json", "app")
    assert "hcl2" not in found.template
    assert "error-cleanup-provisioner" in found.template
    assert "gcc@12" in baked(found, tmp_path)


def test_what_is_not_followed_is_evaluated_by_packer(tmp_path: Path) -> None:
    declared = 'locals {\n late = upper(formatdate("YYYY", "2030-01-02T03:04:05Z"))\n}\n'
    body = LOCALLY % '${local.late}-$${HOME:+set}-${formatdate(\\"MM\\", \\"2030-01-02T03:04:05Z\\")}'
    found = rendered(order(tmp_path, body.replace('\\"', '"'), declared), sync_on_error=True)
    assert (found.file, found.builder) == ("workspace/packages/app/bakery.pkr.json", "null.app")
    output = baked(found, tmp_path)
    assert "gcc@12" in output
    assert "2030-set-01" in output
    assert "bakery-provisioner 1/1" in output


def test_the_command_names_the_file_and_the_builder(tmp_path: Path) -> None:
    found = rendered(order(tmp_path, 'provisioner "shell" {\n inline = [timestamp()]\n}\n'))
    command = packer.command(found, tmp_path, keep_failed=True)
    assert command[-1] == "packages/app/bakery.pkr.json"
    assert "-only=null.app" in command
    assert not any(word.startswith("-var-file") for word in command)


DIR = "steps:\n- {name: hashicorp/packer, dir: %s, args: [build, %s]}\n"


@pytest.mark.parametrize(
    ("folder", "argument", "root"),
    [
        ("", "packages/app", "packages/app"),
        ("packages/app", ".", "."),
        ("common", "../packages/app/app.pkr.hcl", "../packages/app"),
    ],
)
def test_packer_reads_the_files_that_it_reads_on_google_cloud(
    tmp_path: Path, folder: str, argument: str, root: str
) -> None:
    """It is told the folder of the template as the recipe says it, where the recipe runs it."""
    declared = hcl2_tree.DECLARED if argument.endswith(".hcl") else ""
    body = 'provisioner "shell-local" {\n inline = ["echo \'<${file(local.late)}|${path.root}>\'"]\n}\n'
    late = 'locals {\n late = "${formatdate("YYYY", "2030-01-02T03:04:05Z")}.txt"\n}\n'
    build = DIR % (folder or "''", argument)
    given = order(tmp_path, body, declared + late, **{"cloudbuild.yaml": build, "2030.txt": "read"})
    stage(given.files, tmp_path / "work/workspace")
    found = rendered(given, borders=True)
    assert found.folder == folder
    assert f"<read|{root}>" in baked(found, tmp_path / "work", (1, 2))


def test_a_followed_template_names_its_folder_as_packer_does_on_google_cloud(tmp_path: Path) -> None:
    """The path may reach the image, which must be the same everywhere."""
    found = rendered(order(tmp_path, 'provisioner "shell" {\n inline = ["echo ${path.root}"]\n}\n'))
    assert found.template["provisioners"][1]["inline"] == ["echo packages/app"]
