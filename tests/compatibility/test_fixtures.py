"""The recorded files hold nothing of the machine that made them but the folder of the checkout."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.compatibility import made, planning

MOST_BYTES = 600_000
RECORDED = (made.STATES, made.LIBRARIES, *sorted(planning.HERE.glob("*.json")))

# An absolute path: a slash that no path, address or word is in front of.
PATH = re.compile(r"(?<![\w.}>~$/:@-])/(?:[\w.@+-]+/)*[\w.@+-]+")
# What recipes themselves say: interpreters, and where Packer puts files on the machine that is baked.
OF_RECIPES = frozenset({"/bin/bash", "/usr/bin/env", "/tmp", "/tmp/motd"})
# Anywhere in a file, also within relative paths and addresses: folders of people and of machines that record.
FOREIGN = {
    "a home folder": re.compile(r"(?<!\w)(?:/root|/home|/Users)\b|\.\./root/|\.pyenv|\.cache/|site-packages"),
    "a work folder": re.compile(r"(?<!\w)/(?:work|mnt|media|srv|data|workspace|builds|github)/"),
    "a place in a program": re.compile(r"sourcePosition|stackTrace|project://|\.py#?\d*\b"),
    "an address": re.compile(r"\b\w+://(?!checkout)[^\s\"]+"),
    "a package mirror": re.compile(
        r"(?i)\b(?:pypi|pythonhosted|artifactory|nexus|proxy\.|mirror\.|deb\.|archive\.)\S*"
    ),
    "a host name": re.compile(r"(?i)\blocalhost\b|\b[\w-]+\.(?:local|internal|lan|corp)\b|\bhost_?name\b"),
    "an address of a network": re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"),
    "a process": re.compile(r"\"(?:pid|boot)\":"),
    "a user": re.compile(r"(?i)\"(?:user|owner|uid|gid|username|group)\":\s*\"?(?:root|\d)"),
    "a mail address": re.compile(r"[\w.+-]+@[\w-]+\.[a-z]{2,}(?![\w@])"),
}
ALLOWED = re.compile(r"mirror\.schema|gcc@[\d.]+|llvm@\d+|intel-[\w-]+@[\d.]+")


def files() -> Iterator[Path]:
    for recorded in RECORDED:
        yield from sorted(recorded.rglob("*")) if recorded.is_dir() else [recorded]


def found_in(file: Path) -> list[str]:
    """The leaks in the name and the content of a file; of a database in its rows and in its bytes, deleted ones too."""
    if file.suffix != ".sqlite":
        return leaks(f"{file.name}\n{file.read_text(encoding='utf-8')}")
    with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as connection:
        rows = "\n".join(connection.iterdump())
    # Columns are not separated in the bytes, so that what follows a folder's name can't be told from it.
    return [*leaks(rows), *foreign(file.read_bytes().decode("utf-8", "replace"))]


def leaks(text: str) -> list[str]:
    """Everything that a recorded file must not say."""
    paths = [path for path in PATH.findall(text) if path not in OF_RECIPES]
    paths = [path for path in paths if not path.startswith(f"{made.MADE_AT}/")]
    return [*(f"a path: {path}" for path in paths), *foreign(text)]


def foreign(text: str) -> list[str]:
    """What tells something of the machine, wherever it is."""
    cleaned = ALLOWED.sub("", text.replace(f"{made.MADE_AT}/", "<checkout>/"))
    return [f"{what}: {match[0]}" for what, pattern in FOREIGN.items() for match in pattern.finditer(cleaned)]


def test_no_recorded_file_names_a_machine() -> None:
    wrong = [f"{file}: {leak}" for file in files() if file.is_file() for leak in found_in(file)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "text",
    [
        '"link": "/var/lib/images/x.qcow2"',
        '"folder": "/opt/bakery-other/checkout"',
        '"folder": "/opt/bakery/.venv/bin"',
        '"sourcePosition": "project:///__main__.py#30"',
        "project:///../../../root/.pyenv/versions/3.11.7/lib/python3.11/asyncio/events.py#80",
        "/root/.cache/image-bakery",
        "at /srv/somewhere/else",
        "/tmp/pytest-of-someone/checkout",
        '"source": "/home/someone/packages"',
        "https://pypi.example.org/simple",
        "fetched from deb.example.org",
        '{"pid": 123}',
        "10.0.2.15",
        "build-machine.internal",
        "someone@example.com",
    ],
)
def test_a_leak_is_found(text: str) -> None:
    assert leaks(text)


@pytest.mark.parametrize(
    "text", [f'"{made.MADE_AT}/.bakery/runs"', "#!/bin/bash", "/tmp/motd", "packages/mesh/install.sh", "gcc@12.2.0"]
)
def test_what_recipes_say_is_no_leak(text: str) -> None:
    assert leaks(text) == []


def test_the_recorded_files_are_small() -> None:
    sizes = {file: file.stat().st_size for file in files() if file.is_file()}
    assert sum(sizes.values()) < MOST_BYTES, sizes


def test_no_file_of_the_library_is_left_out_by_git() -> None:
    """Names that .gitignore or git itself would drop, and what belongs to processes that ended."""
    names = {part for file in made.LIBRARIES.rglob("*") for part in file.relative_to(made.LIBRARIES).parts}
    assert not names & {".bakery", "work", "leases", "bakes", "library.lock", "library.sqlite-wal", ".git"}
