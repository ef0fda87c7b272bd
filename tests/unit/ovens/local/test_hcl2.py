"""What the local oven gives to Packer for an HCL2 template; the Packer of this machine takes it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

from bakery.lock.model import Lock
from bakery.orders.model import BakeOrder, bake_order
from bakery.ovens.local import packer
from bakery.ovens.local.template import Rendering, render
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

NULL = {"type": "null", "communicator": "none"}  # a builder without a machine
SETTINGS = parse({"oven": "fake"}, "test", Path("/checkout"))
LOCALLY = 'provisioner "shell-local" {\n inline = ["printf \'%%s\\n\' ${var.compiler} %s"]\n}\n'


def order(root: Path, body: str, declared: str = "") -> BakeOrder:
    build = f'build {{\n sources = ["source.googlecompute.app"]\n{body}}}\n'
    recipe_tree.write(root, hcl2_tree.changed({"app.pkr.hcl": hcl2_tree.SOURCE + declared + build}))
    (image,) = draft(SETTINGS, recipe_tree.loaded(root), Lock(), locked=False).images
    return bake_order(image)


def rendered(given: BakeOrder, **options: Any) -> Rendering:
    return render(given, NULL, Path("/w"), **options)


def baked(rendering: Rendering, folder: Path) -> str:
    """Run Packer on the rendering, without the options that only a machine has; returns its output."""
    local = replace(rendering, template=_without_machine(rendering.template))
    call = packer.PackerRun(local, folder, folder, folder / "log")
    call.write()
    command = packer.command(local, folder, keep_failed=False)
    environment = {**os.environ, **packer.environment(folder), "TMPDIR": str(folder / "tmp")}
    done = subprocess.run(command, cwd=folder, env=environment, check=False, text=True, stdout=subprocess.PIPE)
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
    assert (found.file, found.builder) == ("packer.pkr.json", "null.app")
    output = baked(found, tmp_path)
    assert "gcc@12" in output
    assert "2030-set-01" in output
    assert "bakery-provisioner 1/1" in output


def test_the_command_names_the_file_and_the_builder(tmp_path: Path) -> None:
    found = rendered(order(tmp_path, 'provisioner "shell" {\n inline = [timestamp()]\n}\n'))
    command = packer.command(found, tmp_path, keep_failed=True)
    assert command[-1] == f"{tmp_path}/packer.pkr.json"
    assert "-only=null.app" in command
    assert not any(word.startswith("-var-file") for word in command)
