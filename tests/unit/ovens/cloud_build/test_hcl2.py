"""What Cloud Build is given for an HCL2 template: one file in HCL's JSON syntax instead of the recipe's own."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from bakery.lock.model import Lock
from bakery.orders.model import BakeOrder, bake_order
from bakery.ovens.cloud_build.request import build_request, packer_template
from bakery.ovens.cloud_build.source import archive
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

SETTINGS = parse({"oven": "fake", "google": {"project": "p", "region": "us-central1"}}, "test", Path("/checkout"))
ZONE = "us-central1-a"
PLUGINS = """packer {
  required_plugins {
    googlecompute = {
      source  = "github.com/hashicorp/googlecompute"
      version = "~> 1.0"
    }
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = ">= 1.1, < 2"
    }
  }
}
"""
TYPED = """
variable "tags" {
  type    = list(string)
  default = ["${"a"}", "$${b}"]
}
variable "key" {
  type      = string
  default   = null
  sensitive = true
}
"""


def order(root: Path, before: str = "", **files: str) -> BakeOrder:
    body = 'provisioner "shell" {\n inline = concat(var.tags, [timestamp(), var.key == null ? "" : var.key])\n}\n}\n'
    text = hcl2_tree.SOURCE + TYPED + hcl2_tree.BUILD.rstrip().removesuffix("}") + body
    recipe_tree.write(root, hcl2_tree.changed({"app.pkr.hcl": before + text, **files}))
    (image,) = draft(SETTINGS, recipe_tree.loaded(root), Lock(), locked=False).images
    return bake_order(image)


def written(given: BakeOrder) -> Any:
    return packer_template(given, SETTINGS.google, ZONE)


def test_the_plans_decisions_are_in_the_source_and_in_the_defaults(tmp_path: Path) -> None:
    given = order(tmp_path)
    made = written(given)
    options = made["source"]["googlecompute"]["app"]
    assert options["image_name"] == given.name
    assert options["source_image"] == given.base.name
    assert options["instance_name"].endswith("${var.bakery_build}")
    assert made["variable"]["bakery_build"]["default"] == '${env("BAKERY_BUILD")}'
    assert made["variable"]["image_name"] == {"type": "string", "default": given.name}
    assert made["variable"]["tags"] == {"type": "list(string)", "default": ["a", "$${b}"]}
    assert made["variable"]["key"] == {"type": "string", "default": None, "sensitive": True}
    (build,) = made["build"]
    assert build["sources"] == ["source.googlecompute.app"]
    assert build["provisioner"][-1]["shell"]["inline"] == ["a", "$${b}", "${timestamp()}", ""]
    assert build["provisioner"][0]["file"]["source"] == "${var.common_path}/etc"


def test_the_archive_holds_one_template(tmp_path: Path) -> None:
    given = order(tmp_path)
    content = archive(given, written(given))
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(content))) as tar:
        names = tar.getnames()
    assert "packages/app/bakery.pkr.json" in names
    assert [name for name in names if name.endswith(".pkr.hcl")] == []
    assert "packages/app/install.sh" in names


def test_steps_name_the_one_template_and_fetch_other_plugins(tmp_path: Path) -> None:
    given = order(tmp_path, PLUGINS)
    made = build_request(given, SETTINGS.google, ZONE, "x.tar.gz", "session-1")
    fetch, step = made["steps"]
    assert "packer plugins install github.com/hashicorp/ansible '>= 1.1, < 2'" in fetch["args"][-1]
    assert fetch["args"][-1].count("googlecompute") == 1
    assert step["args"][-1] == "${_PKG_PATH}"
    assert written(given)["packer"]["required_plugins"].keys() == {"ansible"}


def test_a_recipe_without_a_build_file_builds_the_one_template(tmp_path: Path) -> None:
    given = order(tmp_path, **{"cloudbuild.yaml": "timeout: 60s\n"})
    made = build_request(given, SETTINGS.google, ZONE, "x.tar.gz", "session-1")
    assert made["steps"][-1]["args"] == ["build", "packages/app/bakery.pkr.json"]


def test_packer_reads_what_is_written(tmp_path: Path) -> None:
    """With the null builder, since the plugin of the other one is not here."""
    made = written(order(tmp_path))
    made["source"] = {"null": {"app": {"communicator": "none"}}}
    made["build"][0]["sources"] = ["source.null.app"]
    made["build"][0]["provisioner"] = [
        {"shell-local": {"inline": ["echo '<${var.tags[1]}>' ${var.bakery_build} ${var.install_root}"]}}
    ]
    file = tmp_path / "x.pkr.json"
    file.write_text(json.dumps(made))
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1", "BAKERY_BUILD": "b-1"}
    done = subprocess.run(["packer", "build", file], check=False, env=environment, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stdout
    assert "<${b}> b-1 /opt" in done.stdout


def names(given: BakeOrder) -> set[str]:
    """The files in the source of the build."""
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive(given, written(given))))) as tar:
        return set(tar.getnames())


BESIDE = {"x.auto.pkrvars.hcl": 'compiler = "clang"\n', "notes.txt": ""}  # counted: the template has a timestamp


def test_of_a_folder_nothing_is_sent_that_wins_over_the_plan(tmp_path: Path) -> None:
    build = "steps:\n- {name: hashicorp/packer, args: [build, packages/app]}\n"
    given = order(tmp_path, **BESIDE, **{"cloudbuild.yaml": build})
    assert given.variables["compiler"] == "clang"
    assert "packages/app/notes.txt" in names(given)
    assert not [name for name in names(given) if ".auto." in name]


def test_of_one_file_what_is_beside_it_is_an_ordinary_file(tmp_path: Path) -> None:
    build = "steps:\n- {name: hashicorp/packer, args: [build, packages/app/app.pkr.hcl]}\n"
    given = order(tmp_path, hcl2_tree.DECLARED, **BESIDE, **{"cloudbuild.yaml": build, "variables.pkr.hcl": "x"})
    assert given.variables["compiler"] == "gcc@12"
    assert {"packages/app/x.auto.pkrvars.hcl", "packages/app/variables.pkr.hcl"} <= names(given)
    assert "packages/app/app.pkr.hcl" not in names(given)
    step = build_request(given, SETTINGS.google, ZONE, "x.tar.gz", "session-1")["steps"][-1]
    assert step["args"] == ["build", "packages/app/bakery.pkr.json"]


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ({"args": ["build", "-var-file=packages/app/v.pkrvars.hcl", "packages/app"]}, ["build", "packages/app"]),
        ({"args": ["build", "--var-file", "${_F}", "packages/app"]}, ["build", "packages/app"]),
        (
            {"entrypoint": "sh", "args": ["-c", "packer build -var-file='${_F}' packages/app"]},
            ["-c", "packer build  packages/app"],
        ),
    ],
)
def test_values_of_files_are_in_the_template_and_the_files_are_not_named(
    tmp_path: Path, step: dict[str, Any], kept: list[str]
) -> None:
    build = {"steps": [{"name": "hashicorp/packer", **step}], "substitutions": {"_F": "packages/app/v.pkrvars.hcl"}}
    given = order(tmp_path, **{"v.pkrvars.hcl": 'compiler = "clang"\n', "cloudbuild.yaml": json.dumps(build)})
    assert written(given)["variable"]["compiler"]["default"] == "clang"
    made = build_request(given, SETTINGS.google, ZONE, "x.tar.gz", "session-1")
    assert made["steps"][-1]["args"] == kept


@pytest.mark.parametrize(
    ("folder", "argument"),
    [("", "packages/app"), ("", "packages/app/app.pkr.hcl"), ("packages/app", "."), ("common", "../packages/app")],
)
def test_packer_finds_in_the_source_what_the_step_names(tmp_path: Path, folder: str, argument: str) -> None:
    """What is left to it reads the files that it read in the checkout."""
    step = {"name": "hashicorp/packer", "dir": folder, "args": ["build", argument]}
    late = 'locals {\n late = "${file("${formatdate("YYYY", "2030-01-02T03:04:05Z")}.txt")}${path.root}"\n}\n'
    use = 'build {\n sources = ["source.googlecompute.app"]\n provisioner "shell" {\n inline = [local.late]\n }\n}\n'
    declared = hcl2_tree.DECLARED if argument.endswith(".hcl") else ""
    files = {"app.pkr.hcl": declared + hcl2_tree.SOURCE + late + use, "2030.txt": "read ", **BESIDE}
    recipe_tree.write(tmp_path, hcl2_tree.changed({**files, "cloudbuild.yaml": json.dumps({"steps": [step]})}))
    (image,) = draft(SETTINGS, recipe_tree.loaded(tmp_path), Lock(), locked=False).images
    given = bake_order(image)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive(given, written(given))))) as tar:
        tar.extractall(tmp_path / "workspace", filter="data")
    place = tmp_path / "workspace" / folder
    place.mkdir(exist_ok=True)
    made = build_request(given, SETTINGS.google, ZONE, "x.tar.gz", "session-1")["steps"][-1]
    run = ["packer", "inspect", made["args"][-1]]
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    done = subprocess.run(run, check=False, cwd=place, env=environment, stdout=subprocess.PIPE, text=True)
    root = "packages/app" if argument.endswith(".hcl") else argument
    assert f'local.late: "read {root}"' in done.stdout


def test_packer_merges_what_only_packer_can_evaluate(tmp_path: Path) -> None:
    unknown = 'jsondecode(env("X"))'
    options = "".join(f"  {name} = {unknown}\n" for name in ("labels", "image_labels", "metadata", "tags"))
    text = hcl2_tree.SOURCE.replace('"app" {\n', f'"app" {{\n{options}', 1) + hcl2_tree.BUILD
    made = written(order(tmp_path, **{"app.pkr.hcl": text}))["source"]["googlecompute"]["app"]
    assert made["labels"] == f'${{merge({unknown}, {{"bakery": "bake", "bakery-recipe": "app"}})}}'
    assert made["tags"] == f'${{concat({unknown}, ["image-bakery"])}}'
    assert made["metadata"].startswith('${merge({"block-project-ssh-keys": "true"')
    assert made["metadata"].endswith(f", {unknown})}}")


def test_what_the_stack_decides_is_not_taken_from_the_template(tmp_path: Path) -> None:
    own = {"account_file": '"key.json"', "network": '"mine"', "skip_create_image": "true", "use_os_login": "true"}
    options = "".join(f"  {name} = {value}\n" for name, value in own.items())
    text = hcl2_tree.SOURCE.replace('"app" {\n', f'"app" {{\n{options}', 1) + hcl2_tree.BUILD
    made = written(order(tmp_path, **{"app.pkr.hcl": text}))["source"]["googlecompute"]["app"]
    assert own.keys().isdisjoint(made)
    assert made["subnetwork"] == SETTINGS.google.subnetwork_path
