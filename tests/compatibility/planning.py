"""Compute the digests of a tree of packages with the ``bakery`` command, in a checkout that holds only settings.

The command line is used, not the modules behind it: it is what must keep its answers when modules move.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
LOCK = HERE / "bakery.lock"
COMMAND = str(Path(sys.executable).with_name("bakery"))
EXECUTABLE = 0o100

# The stacks that digests are recorded for, by name: the settings that can change a digest.
GOOGLE = {"project": "compatibility-project", "region": "us-central1"}
SPACK = {
    "source": "https://git.example/spack.git",
    "ref": "v1.0.0",
    "packagesSource": "https://git.example/spack-packages.git",
    "packagesRef": "0123456789abcdef0123456789abcdef01234567",
    "cache": "gs://compatibility-spack-cache",
    "mirror": "gs://compatibility-spack-mirror",
}
STACKS: Mapping[str, Mapping[str, Any]] = {
    "local": {"oven": "local"},
    "cloud-build": {"oven": "cloud-build", "google": GOOGLE},
    "cloud-build-spack": {"oven": "cloud-build", "google": GOOGLE, "spack": SPACK},
    "local-nonce": {"oven": "local", "nonce": {"hpcc": "again", "rcc-debian": "once more"}},
}

Table = dict[str, dict[str, str]]


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the ``bakery`` command in ``folder``, with an empty cache of its own."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache"), "NO_COLOR": "1"}
    return subprocess.run(
        [COMMAND, *arguments], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120
    )


def checkout(folder: Path, packages: Path, common: Path) -> Path:
    """Make a checkout in ``folder`` whose stacks plan the packages that lie elsewhere."""
    (folder / "bakery").mkdir(parents=True)  # marks a checkout, together with Pulumi.yaml
    (folder / "Pulumi.yaml").write_text("name: image-bakery\n", encoding="utf-8")
    shutil.copy(LOCK, folder / "bakery.lock")
    for stack, settings in STACKS.items():
        config = {f"image-bakery:{key}": value for key, value in settings.items()}
        config |= {"image-bakery:packages": str(packages), "image-bakery:common": str(common)}
        file = folder / f"Pulumi.{stack}.yaml"
        file.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    return folder


def plan(folder: Path, stack: str) -> dict[str, Any]:
    """The report of ``bakery plan --all --no-library --json`` for one stack."""
    done = command(folder, "plan", "--all", "--no-library", "--json", "--stack", stack)
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def table(report: Mapping[str, Any]) -> Table:
    """Family to what is recorded of its image."""
    return {
        image["family"]: {key: image[key] for key in ("package", "variant", "name", "digest", "tests", "parent")}
        | {"base": image["base"]["digest"]}
        for image in report["images"]
    }


def tables(folder: Path, stacks: tuple[str, ...] = tuple(STACKS)) -> dict[str, Table]:
    """The tables of all stacks of a checkout."""
    with ThreadPoolExecutor(2) as pool:
        reports = pool.map(lambda stack: plan(folder, stack), stacks)
    return {stack: table(report) for stack, report in zip(stacks, reports, strict=True)}


def sources(packages: Path, common: Path) -> dict[str, str]:
    """Package (and ``common``) to a digest of its files, computed here and not by the bakery.

    It tells an edited recipe from a changed rule when a digest differs.
    """
    folders = {file.parent.name: file.parent for file in packages.glob("*/packer.json")} | {"common": common}
    return {name: _source(folder) for name, folder in sorted(folders.items())}


def _source(folder: Path) -> str:
    lines = [
        f"{file.relative_to(folder).as_posix()} {bool(file.stat().st_mode & EXECUTABLE)}"
        f" {hashlib.sha256(file.read_bytes()).hexdigest()}"
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def differences(recorded: Mapping[str, Any], computed: Mapping[str, Any]) -> list[str]:
    """One line for each image that differs, with what differs and whether its files do; empty when all agree."""
    lines = []
    edited = {
        name
        for name in {*recorded["sources"], *computed["sources"]}
        if recorded["sources"].get(name) != computed["sources"].get(name)
    }
    for stack in sorted({*recorded["stacks"], *computed["stacks"]}):
        old, new = recorded["stacks"].get(stack, {}), computed["stacks"].get(stack, {})
        lines += [line for family in sorted({*old, *new}) for line in _different(stack, family, old, new, edited)]
    return lines


def _different(stack: str, family: str, old: Table, new: Table, edited: set[str]) -> list[str]:
    before, after = old.get(family), new.get(family)
    if before == after:
        return []
    if before is None or after is None:
        return [f"{stack}: {family} is {'new' if before is None else 'missing'}"]
    changed = ", ".join(
        f"{key} {before.get(key)} -> {after.get(key)}" for key in after if before.get(key) != after[key]
    )
    own = {after["package"], "common", new.get(after["parent"], after)["package"]} & edited
    why = f"the files of {', '.join(sorted(own))} changed" if own else "no file changed: a RULE of the digest changed"
    return [f"{stack}: {family}: {changed} ({why})"]
