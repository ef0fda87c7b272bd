"""The checkout that the recorded stacks and libraries were made in: its packages, its stacks, and how to restore both.

The packages are written by this module and never change: the recorded digests, URNs and orders are theirs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.compatibility import planning
from tests.support.workshop import Workshop, make

MADE_AT = "/opt/bakery/checkout"  # where version 0.1.0 made the fixtures
PASSPHRASE = "throwaway"
LIBRARIES = planning.HERE / "libraries"
STATES = planning.HERE / "states"
FIRST = "0.1.0"

# Stack to its settings. They share one library.
FAILING = {
    "tests": {
        "flaky": {"exit_codes": {"flaky/smoke": 3}},
        "steady": {
            "stdout": {"steady/again": "one line\n"},
            "stderr": {"steady/again": "a warning: 20 \N{DEGREE SIGN}C\n"},
        },
    }
}
STACKS: Mapping[str, Mapping[str, Any]] = {
    "promoted": {"select": ["solver", "untested"]},  # and site-base, the parent of solver
    "matrix": {"select": ["mesh"]},
    "failed": {"select": ["flaky", "steady"], "fake": FAILING},
    "removed": {"select": ["kept"]},  # gone was selected before
}
REMOVED_BEFORE = ["kept", "gone"]


def workshop(folder: Path, home: Path, engine_path: str, stack: str) -> Workshop:
    """A checkout in ``folder`` with all packages and the settings of ``stack``; the stack itself is not made."""
    made = make(folder, home, engine_path)
    made.stack = stack
    made.extra = dict(STACKS[stack])
    made.env |= {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE, "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER": "true"}
    made.env |= {"XDG_CACHE_HOME": str(home / "cache"), "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    shutil.copy(planning.LOCK, folder / "bakery.lock")
    packages(folder)
    made.configure()
    return made


def packages(folder: Path, solver: str = "make solver") -> None:
    """Write all packages; ``solver`` is the last line of that package's install.sh."""
    put(folder / "common/etc/site.conf", "site = compatibility\n")
    package(folder, "site-base", motd="Welcome.\n")
    package(folder, "solver", parent="site-base", script=solver)
    package(folder, "untested", tests=False)
    package(folder, "mesh")
    put(folder / "packages/mesh/recipe.yaml", yaml.safe_dump(MATRIX, sort_keys=False))
    for name in ("flaky", "steady", "kept", "gone"):
        package(folder, name)


MATRIX = {
    "description": "a mesher, by compiler",
    "owners": ["meshing"],
    "matrix": {
        "family": "mesh-{compiler}",
        "axes": {"compiler": {"gcc": {"_COMPILER": "gcc@12.2.0"}, "clang": {"_COMPILER": "llvm@17"}}},
        "variants": [{"match": {"compiler": "clang"}, "references": {"mesh/smoke": {"rate": 20.0}}}],
    },
}


def package(
    folder: Path, name: str, parent: str = "", *, tests: bool = True, script: str = "true", motd: str = ""
) -> None:
    """Write one package below ``packages/``."""
    own = folder / "packages" / name
    put(own / "packer.json", json.dumps(_template(name, parent, bool(motd)), indent=2) + "\n")
    put(own / "cloudbuild.yaml", yaml.safe_dump(_build(name, parent), sort_keys=False))
    put(own / "install.sh", f"#!/bin/bash\nset -euo pipefail\n{script}\n", 0o755)
    if motd:
        put(own / "motd", motd)
    if tests:
        put(own / "test/run.sh", "#!/bin/bash\nset -euo pipefail\necho rate: 10\n", 0o755)
        put(own / "fluidrun.yaml", yaml.safe_dump(_suite(name), sort_keys=False))


def put(file: Path, text: str, mode: int = 0o644) -> None:
    """Write a file with its mode."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def _template(name: str, parent: str, motd: bool) -> dict[str, Any]:
    builder = {
        "type": "googlecompute",
        "project_id": "{{user `project_id`}}",
        "source_image_family": "{{user `source_image_family`}}",
        "source_image_project_id": "{{user `project_id`}}" if parent else "debian-cloud",
        "machine_type": "n2-standard-4",
        "disk_size": 20,
        "zone": "us-central1-a",
        "image_name": "{{user `image_name`}}",
        "image_family": "{{user `image_family`}}",
        "ssh_username": "packer",
    }
    environment = ["COMPILER={{user `compiler`}}", "PROJECT={{user `project_id`}}"]
    provisioners: list[dict[str, Any]] = [
        {"type": "file", "source": "common/etc", "destination": "/tmp/"},
        {"type": "shell", "script": f"packages/{name}/install.sh", "environment_vars": environment},
    ]
    if motd:
        provisioners.append({"type": "file", "source": f"packages/{name}/motd", "destination": "/tmp/motd"})
    names = ("project_id", "source_image_family", "image_name", "image_family")
    variables = dict.fromkeys(names, "") | {"compiler": "gcc@12.2.0"}
    return {"variables": variables, "builders": [builder], "provisioners": provisioners}


def _build(name: str, parent: str) -> dict[str, Any]:
    substitutions = {
        "_SOURCE_IMAGE_FAMILY": parent or "debian-12",
        "_IMAGE_NAME": f"{name}-latest",
        "_IMAGE_FAMILY": name,
        "_COMPILER": "gcc@12.2.0",
    }
    handed = [part for key in substitutions for part in ("-var", f"{key[1:].lower()}=${{{key}}}")]
    arguments = ["build", "-var", "project_id=$PROJECT_ID", *handed, f"packages/{name}/packer.json"]
    steps = [{"id": "Build Image", "name": "hashicorp/packer", "args": arguments}]
    return {"steps": steps, "substitutions": substitutions, "timeout": "1800s"}


def _suite(name: str) -> dict[str, Any]:
    metric = {"name": "rate", "pattern": r"rate: (\S+)", "unit": "steps/s", "reference": 10.0, "lower": -0.1}
    job = {
        "command_group": name,
        "execution_command": f"packages/{name}/test/run.sh",
        "output_directory": f"{name}/smoke",
        "partition": "debug",
        "batch_options": "--nodes=2",
        "metrics": [metric],
    }
    return {"tests": [job, {**job, "output_directory": f"{name}/again", "metrics": []}]}


# -- fixtures into a fresh checkout


def state(stack: str, folder: Path) -> str:
    """The recorded export of a stack, as if it had been made in ``folder``."""
    return (STATES / f"{stack}.json").read_text(encoding="utf-8").replace(MADE_AT, str(folder))


def restore(version: str, folder: Path) -> None:
    """Put the recorded state folder of that version (library, runs, logs, orders) into the checkout ``folder``.

    The library's files are restored byte for byte; only orders and results, which are JSON and name files of this
    machine, are moved to ``folder``.
    """
    target = folder / ".bakery"
    shutil.copytree(LIBRARIES / version / "state", target, copy_function=shutil.copyfile)
    for file in target.rglob("*.json"):
        if "library" not in file.relative_to(target).parts:
            file.write_text(file.read_text(encoding="utf-8").replace(MADE_AT, str(folder)), encoding="utf-8")


def traces(folder: Path) -> dict[str, bytes]:
    """What a bake or a Fluid-Run would leave: bake logs with their content, and the folders of the runs."""
    logs = {file.name: file.read_bytes() for file in sorted((folder / ".bakery/logs").glob("*.log"))}
    return logs | {file.name: b"" for file in sorted((folder / ".bakery/runs").iterdir())}
