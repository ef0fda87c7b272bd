"""The small package of :mod:`tests.support.recipe_tree` with its template in HCL2, written by hand in two files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bakery.errors import Problem
from tests.support import recipe_tree

DECLARED = "".join(
    f'variable "{name}" {{\n  type    = string\n  default = "{value}"\n}}\n'
    for name, value in recipe_tree.VARIABLES.items()
)
SOURCE = """locals {
  folders  = [var.common_path, var.pkg_path]
  settings = { ARCH = var.target_arch, COMPILER = var.compiler, INSTALL_ROOT = var.install_root }
}

source "googlecompute" "app" {
  project_id              = var.project_id
  source_image_family     = var.source_image_family
  source_image_project_id = [var.source_image_project]
  image_name              = var.image_name
  image_family            = var.image_family
}
"""
BUILD = """build {
  sources = ["source.googlecompute.app"]

  dynamic "provisioner" {
    labels   = ["file"]
    for_each = ["${local.folders[0]}/etc", "${var.pkg_path}/${var.env_file}"]
    content {
      source      = provisioner.value
      destination = "/tmp/"
    }
  }

  provisioner "shell" {
    script           = join("/", [local.folders[1], "install.sh"])
    environment_vars = [for name in ["INSTALL_ROOT", "COMPILER", "ARCH"] : "${name}=${local.settings[name]}"]
  }
}
"""


def files() -> dict[str, str]:
    """The files of the package; those of other kinds are as they are for JSON."""
    others = {path: text for path, text in recipe_tree.files().items() if path != "packer.json"}
    others["cloudbuild.yaml"] = others["cloudbuild.yaml"].replace("/packer.json", "")
    return {**others, "variables.pkr.hcl": DECLARED, "app.pkr.hcl": SOURCE + BUILD}


def changed(given: Mapping[str, str | bytes | None]) -> dict[str, str | bytes | None]:
    """The changes that make the package of :mod:`tests.support.recipe_tree` this one, and then others."""
    return {"packer.json": None, **files(), **given}


def problems(root: Path, given: Mapping[str, str | bytes | None]) -> tuple[Problem, ...]:
    """The problems of the package with these files changed."""
    return recipe_tree.spoilt(root, changed(given))
