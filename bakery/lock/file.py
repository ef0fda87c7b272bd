"""Reads and writes ``bakery.lock``, see :mod:`bakery.lock.model`: YAML, sorted, one base a block, made for review."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery import yaml_cache
from bakery.codec import decode, encode
from bakery.errors import InputError, Problem
from bakery.lock.model import Lock, LockedBase
from bakery.recipe.image_names import base_fault
from bakery.settings import Place

if TYPE_CHECKING:
    from bakery.recipe.parse.document import Document, Where

VERSION = 1
HEADER = """\
# The external base images, pinned: written by `bakery lock`, to be committed. What an image is baked from is part of
# its digest, so a change here says which images are baked again.
"""
HINT = "restore it from git, or delete it and run: bakery lock"


def read(path: Path) -> Lock:
    """Return the lock of a file, an empty one if the file does not exist. Raises InputError with all its problems."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise InputError([Problem(path.name, 1, f"cannot be read: {error.strerror}", HINT)]) from error
    kind = f"lock {VERSION} {' '.join(LockedBase._fields)}"  # other versions share the cache
    places = yaml_cache.parsed(content, kind, partial(_parse, path.name))
    return Lock(
        {Place(place): {key: LockedBase(**base) for key, base in bases.items()} for place, bases in places.items()}
    )


def _parse(name: str, content: bytes) -> dict[str, dict[str, dict[str, Any]]]:
    """Return place to key to the fields of a base. Raises InputError with all problems."""
    from bakery.recipe.parse import Findings, yaml  # not needed while the file is in the cache

    findings = Findings(name)
    document = yaml.parse_yaml(content, findings)
    places = _places(document) if document is not None else {}
    if findings.problems:  # a duplicate key, too: it is the result of a merge, and either may be right
        raise InputError([Problem(entry.file, entry.line, entry.message, HINT) for entry in findings.problems])
    return places


def _places(document: Document) -> dict[str, dict[str, dict[str, Any]]]:
    if not isinstance(document.value, dict) or document.value.get("version") != VERSION:
        document.error(f"not a lock file: version is not {VERSION}", HINT, "version")
        return {}
    places: dict[str, dict[str, dict[str, Any]]] = {}
    for key, bases in document.value.items():
        if key == "version":
            continue
        if key not in list(Place):
            document.error(f"unknown place {key}", HINT, key)
        elif not isinstance(bases, dict):
            document.error(f"{key} is not a mapping", HINT, key)
        else:
            decoded = {name: _base(document, (key, name), entry) for name, entry in bases.items()}
            places[key] = {name: encode(base) for name, base in decoded.items() if base is not None}
    return places


def _base(document: Document, where: Where, entry: Any) -> LockedBase | None:
    try:
        base = decode(LockedBase, entry)
    except (TypeError, ValueError) as error:
        from bakery.recipe.parse.findings import one_line

        document.error(f"{where[-1]}: {one_line(error)}", HINT, *where)
        return None
    if fault := base_fault(base.name):
        document.error(f"{where[-1]}: {fault[0]}", HINT, *where, "name")
    if not base.identity.strip():
        document.error(f"{where[-1]}: identity is empty", HINT, *where, "identity")
    return base


def text_of(lock: Lock) -> str:
    """Return the file's text; the same lock gives the same text."""
    import yaml

    content: dict[str, Any] = {"version": VERSION}
    for place in sorted(lock.bases):
        held = lock.bases[place]
        content[place.value] = {key: _entry(held[key]) for key in sorted(held)}
    return HEADER + yaml.safe_dump(content, sort_keys=False, width=120)


def _entry(base: LockedBase) -> dict[str, Any]:
    return {key: value for key, value in encode(base).items() if value}


def write(path: Path, lock: Lock) -> None:
    """Replace the lock file in one step. Raises InfrastructureFailed."""
    from bakery.host.files import write_atomic

    write_atomic(path, text_of(lock).encode())
