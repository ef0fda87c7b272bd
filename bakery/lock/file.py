"""Reads and writes ``bakery.lock``, see :mod:`bakery.lock.model`: YAML, sorted, one base a block, made for review."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bakery.codec import decode, encode
from bakery.errors import InputError, Problem
from bakery.host.files import write_atomic
from bakery.lock.model import Lock, LockedBase
from bakery.recipe.image_names import base_fault
from bakery.recipe.parse import yaml as yaml_parser
from bakery.recipe.parse.document import Document, Where
from bakery.recipe.parse.findings import Findings, one_line
from bakery.settings import Place

VERSION = 1
HEADER = """\
# The external base images, pinned: written by `bakery lock`, to be committed. What an image is baked from is part of
# its digest, so a change here says which images are baked again.
"""
HINT = "take it from git, or delete it and run: bakery lock"


def read(path: Path) -> Lock:
    """The lock of that file; an empty one when there is no file. Raises InputError with all that is wrong with it."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise InputError([Problem(path.name, 1, f"can't be read: {error.strerror}", HINT)]) from error
    findings = Findings(path.name)
    document = yaml_parser.read(content, findings)
    lock = Lock(_places(document)) if document is not None else Lock()
    if findings.problems:  # a key that stands twice, too: it comes from a merge, and nobody knows which one is right
        raise InputError([Problem(entry.file, entry.line, entry.message, HINT) for entry in findings.problems])
    return lock


def _places(document: Document) -> dict[Place, Mapping[str, LockedBase]]:
    if not isinstance(document.value, dict) or document.value.get("version") != VERSION:
        document.error(f"is no lock file: version is not {VERSION}", HINT, "version")
        return {}
    bases: dict[Place, Mapping[str, LockedBase]] = {}
    for key, held in document.value.items():
        if key == "version":
            continue
        if key not in list(Place):
            document.error(f"{key} is no place", HINT, key)
        elif not isinstance(held, dict):
            document.error(f"{key} is no mapping", HINT, key)
        else:
            found = {name: _base(document, (key, name), entry) for name, entry in held.items()}
            bases[Place(key)] = {name: base for name, base in found.items() if base is not None}
    return bases


def _base(document: Document, where: Where, entry: Any) -> LockedBase | None:
    try:
        base = decode(LockedBase, entry)
    except (TypeError, ValueError) as error:
        document.error(f"{where[-1]}: {one_line(error)}", HINT, *where)
        return None
    if fault := base_fault(base.name):
        document.error(f"{where[-1]}: {fault[0]}", HINT, *where, "name")
    if not base.identity.strip():
        document.error(f"{where[-1]}: identity is empty", HINT, *where, "identity")
    return base


def text_of(lock: Lock) -> str:
    """The lock as the file's text; the same lock gives the same text."""
    content: dict[str, Any] = {"version": VERSION}
    for place in sorted(lock.bases):
        held = lock.bases[place]
        content[place.value] = {key: _entry(held[key]) for key in sorted(held)}
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120)


def _entry(base: LockedBase) -> dict[str, Any]:
    return {key: value for key, value in encode(base).items() if value}


def write(path: Path, lock: Lock) -> None:
    """Replace the lock file in one step. Raises InfrastructureFailed."""
    write_atomic(path, text_of(lock).encode())
