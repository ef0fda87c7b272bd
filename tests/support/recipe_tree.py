"""Small packages for tests: one that is right, in a tree of the bakery's own layout, to be spoilt in one place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.errors import Problem
from bakery.recipe.load import load
from bakery.recipe.model import Recipe, Recipes

NAME = "app"
VARIABLES = {
    "project_id": "",
    "source_image_family": "debian-12",
    "source_image_project": "debian-cloud",
    "image_name": "app",
    "image_family": "app",
    "compiler": "gcc@12",
    "install_root": "/opt",
    "target_arch": "x86_64",
    "pkg_path": "packages/app",
    "common_path": "common",
    "env_file": "env/spack.yaml",
}
ENVIRONMENT = ["INSTALL_ROOT={{user `install_root`}}", "COMPILER={{user `compiler`}}", "ARCH={{user `target_arch`}}"]


def template() -> dict[str, Any]:
    return {
        "variables": dict(VARIABLES),
        "builders": [
            {
                "type": "googlecompute",
                "project_id": "{{user `project_id`}}",
                "source_image_family": "{{user `source_image_family`}}",
                "source_image_project_id": "{{user `source_image_project`}}",
                "image_name": "{{user `image_name`}}",
                "image_family": "{{user `image_family`}}",
            }
        ],
        "provisioners": [
            {"type": "file", "source": "{{user `common_path`}}/etc", "destination": "/tmp/"},
            {"type": "file", "source": "{{user `pkg_path`}}/{{user `env_file`}}", "destination": "/tmp/"},
            {"type": "shell", "script": "{{user `pkg_path`}}/install.sh", "environment_vars": ENVIRONMENT},
        ],
    }


def build(path: str = "packages/app") -> str:
    values = {**VARIABLES, "pkg_path": path}
    del values["project_id"]
    arguments = ", ".join(f'"-var", "{key}=${{_{key.upper()}}}"' for key in values)
    lines = "".join(f"  _{key.upper()}: {value}\n" for key, value in values.items())
    return (
        "steps:\n"
        "- id: &BUILD Build Image\n"
        "  name: hashicorp/packer\n"
        f'  args: ["build", "-var", "project_id=$PROJECT_ID", {arguments}, "${{_PKG_PATH}}/packer.json"]\n'
        f"substitutions:\n{lines}timeout : 1800s\n"
    )


SUITE = """tests:
- command_group: smoke
  execution_command: packages/app/test/run.sh --fast
  output_directory: app/smoke
  partition: debug
  batch_options: "--nodes=1"
  metrics:
  - name: speed
    pattern: 'speed=(\\S+)'
    unit: Gflop/s
    reference: 2
    lower: -0.1
    upper: 0.5
"""
SPACK = "spack:\n  view: @INSTALL_ROOT@/view\n  specs:\n  - app % @COMPILER@ arch=@ARCH@\n"


def files() -> dict[str, str]:
    return {
        "packer.json": json.dumps(template(), indent=2),
        "cloudbuild.yaml": build(),
        "fluidrun.yaml": SUITE,
        "install.sh": "#!/bin/bash\n",
        "env/spack.yaml": SPACK,
        "test/run.sh": "#!/bin/bash\n",
    }


def write(root: Path, changed: Mapping[str, str | bytes | None] | None = None, name: str = NAME) -> Path:
    """The package with some files changed, or gone (None), below ``root/packages``; returns its folder."""
    folder = root / "packages" / name
    for path, content in {**files(), **(changed or {})}.items():
        if content is not None:
            put(folder / path, content)
    put(root / "common/etc/sysctl.conf", "# shared\n")
    return folder


def put(file: Path, content: str | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def loaded(root: Path, **options: Any) -> Recipes:
    return load(root / "packages", root / "common", **options)


def spoilt(root: Path, changed: Mapping[str, str | bytes | None], **options: Any) -> tuple[Problem, ...]:
    """The problems of the package with these files changed."""
    write(root, changed)
    return loaded(root, **options).problems


def recipe(root: Path, changed: Mapping[str, str | bytes | None] | None = None, **options: Any) -> Recipe:
    """The package, which must load without any problem."""
    write(root, changed)
    recipes = loaded(root, **options)
    assert recipes.problems == ()
    return recipes.recipes[0]


def edited(**changes: Any) -> str:
    """packer.json with top-level parts changed."""
    return json.dumps({**template(), **changes}, indent=2)
