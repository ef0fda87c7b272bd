"""Reads and writes ``bakery.lock``, see :mod:`bakery.plan.lock`: YAML, sorted, one base a block, made for review."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bakery.codec import decode, encode
from bakery.errors import InputError, Problem
from bakery.plan.lock import Lock, LockedBase, Place

VERSION = 1
HEADER = """\
# The external base images, pinned: written by `bakery lock`, to be committed. What an image is baked from is part of
# its digest, so a change here says which images are baked again.
"""
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> Lock:
    """The lock of that file; an empty one when there is no file. Raises InputError when it can't be understood."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Lock()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError([_problem(path, 1, f"can't be read: {error}")]) from error
    try:
        content = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise InputError([_problem(path, mark.line + 1 if mark else 1, "is no YAML")]) from error
    try:
        return _lock(content)
    except (TypeError, ValueError) as error:
        raise InputError([_problem(path, 1, f"is no lock file: {error}")]) from error


def _problem(path: Path, line: int, message: str) -> Problem:
    return Problem(path.name, line, message, "take it from git, or delete it and run: bakery lock")


def _lock(content: Any) -> Lock:
    if not isinstance(content, Mapping) or content.get("version") != VERSION:
        raise ValueError(f"version is not {VERSION}")
    bases: dict[Place, Mapping[str, LockedBase]] = {}
    for key, held in content.items():
        if key != "version":
            if not isinstance(held, Mapping):
                raise ValueError(f"{key} is no mapping")
            bases[Place(key)] = {str(name): decode(LockedBase, entry) for name, entry in held.items()}
    return Lock(bases)


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
    """Write the lock, whole or not at all."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text_of(lock), encoding="utf-8")
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
