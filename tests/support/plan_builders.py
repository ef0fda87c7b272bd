"""Recipes made in memory, for tests of the plan."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bakery.lock.model import Lock, LockedBase, Place
from bakery.recipe.model import Recipe, Recipes, SourceFile, Suite, SuiteJob, Variant
from bakery.settings import Settings, parse

BASE = LockedBase("debian-12-20300101", "inrelease:" + "5" * 64, "2030-01-01T00:00:00Z")
LOCK = Lock({Place.LOCAL: {"debian-cloud/debian-12": BASE}})


def file(path: str, content: str = "", mode: int = 0o644, source: Path = Path("/checkout")) -> SourceFile:
    return SourceFile(path, mode, hashlib.sha256(content.encode()).hexdigest(), source / path)


def settings(**values: Any) -> Settings:
    return parse(values, "dev", Path("/checkout"))


def template(**changes: Any) -> dict[str, Any]:
    """A template as rcc-apps writes them: where, names and base are variables, and two files reach the image."""
    variables = dict.fromkeys(("project_id", "zone", "subnet", "machine_type", "source_image_project"), "")
    variables |= dict.fromkeys(("source_image_family", "image_name", "image_family", "pkg_path"), "")
    builder = {
        "type": "googlecompute",
        "project_id": "{{user `project_id`}}",
        "source_image_family": "{{user `source_image_family`}}",
        "source_image_project_id": "{{user `source_image_project`}}",
        "machine_type": "{{user `machine_type`}}",
        "disk_size": 20,
        "zone": "{{user `zone`}}",
        "subnetwork": "{{user `subnet`}}",
        "image_family": "{{user `image_family`}}",
        "image_name": "{{user `image_name`}}",
        "instance_name": "{{user `image_name`}}{{timestamp}}",
        "tags": ["cloudbuild"],
        "ssh_username": "packer",
    }
    provisioners = [
        {"type": "file", "source": "{{user `pkg_path`}}/share", "destination": "/tmp/"},
        {
            "type": "shell",
            "environment_vars": ["COMPILER={{user `compiler`}}", "PROJECT_ID={{user `project_id`}}"],
            "script": "{{user `pkg_path`}}/install.sh",
        },
    ]
    made = {"variables": variables | {"compiler": "gcc"}, "builders": [builder], "provisioners": provisioners}
    return made | changes


def build(**substitutions: str) -> dict[str, Any]:
    """A cloudbuild.yaml that hands every substitution on, as rcc-apps does."""
    names = {
        "zone": "$_ZONE",
        "subnet": "${_SUBNETWORK}",
        "machine_type": "${_MACHINE_TYPE}",
        "source_image_family": "${_SOURCE_IMAGE_FAMILY}",
        "source_image_project": "${_SOURCE_IMAGE_PROJECT}",
        "image_name": "${_IMAGE_NAME}",
        "image_family": "${_IMAGE_FAMILY}",
        "compiler": "${_COMPILER}",
        "pkg_path": "${_PKG_PATH}",
        "project_id": "$PROJECT_ID",
    }
    variables = [part for name, value in names.items() for part in ("-var", f"{name}={value}")]
    args = ["build", "-force", *variables, "${_PKG_PATH}/packer.json"]
    return {"steps": [{"id": "Build Image", "name": "hashicorp/packer:latest", "args": args}]} | {
        "substitutions": substitutions
    }


def recipe(name: str = "app", parent: str = "debian-12", **changes: Any) -> Recipe:
    """A recipe; ``substitutions`` are added to the usual ones, everything else replaces a field."""
    folder = f"packages/{name}"
    substitutions: Mapping[str, str] = {
        "_ZONE": "us-central1-c",
        "_SUBNETWORK": "default",
        "_MACHINE_TYPE": "n1-standard-8",
        "_SOURCE_IMAGE_FAMILY": parent,
        "_SOURCE_IMAGE_PROJECT": "debian-cloud",
        "_IMAGE_NAME": f"{name}-latest",
        "_IMAGE_FAMILY": name,
        "_COMPILER": "gcc@12",
        "_PKG_PATH": folder,
    } | changes.pop("substitutions", {})
    values: dict[str, Any] = {
        "name": name,
        "folder": Path("/checkout") / folder,
        "shown": folder,
        "workspace_path": folder,
        "template": template(),
        "build": build(**substitutions),
        "substitutions": substitutions,
        "timeout": 3600,
        "files": (
            file(f"{folder}/README.md", "words"),
            file(f"{folder}/install.sh", "apt install", 0o755),
            file(f"{folder}/share/motd", "hello"),
            file(f"{folder}/test/run.sh", "run"),
        ),
        "common": (file("common/etc/sysctl.conf", "vm"), file("common/spack-install.sh", "spack", 0o755)),
        "variants": (Variant(),),
        "suite": Suite((SuiteJob("app", f"bash {folder}/test/run.sh", "app"),)),
        "family_at": (f"{folder}/packer.json", 1),
        "base_at": (f"{folder}/cloudbuild.yaml", 30),
    }
    return Recipe(**(values | changes))


def recipes(*given: Recipe) -> Recipes:
    return Recipes(tuple(given))
