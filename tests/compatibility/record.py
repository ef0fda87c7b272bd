"""Write the recorded tables again: ``python -m tests.compatibility.record <what>``; see README.md beside this file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.compatibility import made, planning, shapes

COMMAND = "python -m tests.compatibility.record"
DIGESTS = "digests.json"
LAYOUT = "rcc_layout.json"
APPS = "rcc_apps.json"
APPS_COMMIT = "ae25260f189511607bf990e2285f73afb7060411"
PUBLISHED = "published.json"
SHAPES = "shapes.json"
TREE_STACKS = ("local", "cloud-build")  # for trees of other projects
ODD_NAME = "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve name.txt"  # not tracked: some tools refuse such names


def digests(folder: Path) -> dict[str, Any]:
    """The digests of the packages of this repository; ``folder`` is for the checkout that plans them."""
    packages, common = planning.ROOT / "packages", planning.ROOT / "common"
    made = planning.checkout(folder, packages, common)
    return {"sources": planning.sources(packages, common), "stacks": planning.tables(made)}


def layout(folder: Path) -> dict[str, Any]:
    """The digests of the tree ``rcc_layout``, which is copied into ``folder``, and where problems are reported."""
    tree = folder.with_name("rcc-layout")
    shutil.copytree(planning.HERE / "rcc_layout", tree)
    (tree / "viewer" / "share" / ODD_NAME).write_text(
        "A name that is not plain ASCII, with a blank.\n", encoding="utf-8"
    )
    return _tree(folder, tree) | {"problems": _problems(folder, tree)}


def apps(folder: Path) -> dict[str, Any]:
    """The digests of the checkout of rcc-apps that RCC_APPS names; nothing of its text."""
    tree = Path(os.environ["RCC_APPS"]).resolve()
    return _tree(folder, tree) | {"commit": APPS_COMMIT}


def _tree(folder: Path, tree: Path) -> dict[str, Any]:
    made = planning.checkout(folder, tree, tree / "common")
    stacks = planning.tables(made, TREE_STACKS)
    return {"sources": planning.sources(tree, tree / "common"), "stacks": stacks}


def _problems(folder: Path, tree: Path) -> list[str]:
    """Severity and place of every problem; the words may change."""
    found = planning.plan(folder, "cloud-build")["problems"]
    return sorted(f"{one['severity']} {_below(one['file'], tree)}:{one['line']}" for one in found)


def _below(file: str, tree: Path) -> str:
    return file[file.index(f"{tree.name}/") + len(tree.name) + 1 :] if f"{tree.name}/" in file else file


def state_shapes(_folder: Path) -> dict[str, Any]:
    """What is public of the recorded states."""
    read = {stack: json.loads((made.STATES / f"{stack}.json").read_text(encoding="utf-8")) for stack in made.STACKS}
    return {stack: shapes.shape(state, made.MADE_AT) for stack, state in read.items()}


def published(_folder: Path) -> dict[str, Any]:
    """File name of every published JSON schema to the hash of what it accepts; where it lies does not count."""
    return {file.name: schema_hash(file) for file in sorted((planning.ROOT / "bakery").rglob("schemas/*.json"))}


def schema_hash(file: Path) -> str:
    """SHA-256 of a schema in canonical JSON without its prose: titles and descriptions may be reworded."""
    content = _without_prose(json.loads(file.read_text(encoding="utf-8")))
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):  # a property that is named "description" holds a schema, no text
        prose = {key for key in ("title", "description", "$comment") if isinstance(value.get(key), str)}
        return {key: _without_prose(entry) for key, entry in value.items() if key not in prose}
    return [_without_prose(entry) for entry in value] if isinstance(value, list) else value


TABLES: Mapping[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "digests": (DIGESTS, digests),
    "rcc_layout": (LAYOUT, layout),
    "rcc_apps": (APPS, apps),
    "published": (PUBLISHED, published),
    "shapes": (SHAPES, state_shapes),
}


def write(name: str, content: Mapping[str, Any]) -> None:
    """Write a table for review: one value a line, sorted."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    (planning.HERE / name).write_text(text, encoding="utf-8")


def main(names: list[str]) -> int:
    """Write the named tables; returns the exit code."""
    if not names or not set(names) <= set(TABLES):
        sys.stderr.write(f"usage: {COMMAND} {{{','.join(TABLES)}}}...\n")
        return 2
    for name in names:
        file, make = TABLES[name]
        with tempfile.TemporaryDirectory() as folder:
            write(file, make(Path(folder) / "checkout"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
