"""Spoils recipe files at random, from a seed: what editors, merges and bad copies do, and worse."""

from __future__ import annotations

import random
from pathlib import Path

from bakery.errors import Severity
from bakery.plan.lock import Lock
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.recipe import tree
from tests.recipe.test_load import MATRIX

TFVARS = 'login_node_count = 0\npartitions = [\n  { name = "debug", zone = "<zone>" }\n]\n'
FILES = {**tree.files(), "recipe.yaml": MATRIX, "test/rcc.auto.tfvars": TFVARS}
TARGETS = [path for path in FILES if not path.endswith(".sh")]
PIECES = [
    "{",
    "}",
    "[",
    "]",
    '"',
    "'",
    ":",
    ",",
    "\n",
    "\t",
    "\0",
    "&a",
    "*a",
    "<<: *a",
    "!!x",
    "- ",
    "null",
    "1e999",
    "{{",
]
PIECES += [
    "..",
    "/",
    "$",
    "${_",
    "@X@",
    "-1",
    "true",
    "\ufeff",
    "\udc80",
    "é",
    "\u2028",
    "{{user `x`}}",
    "? ",
    "| ",
    "#",
    "~",
]


def mutated(seed: int) -> tuple[str, bytes]:
    """A file and its spoilt content."""
    chance = random.Random(seed)
    path = chance.choice(TARGETS)
    text = FILES[path]
    for _ in range(chance.randint(1, 4)):
        text = chance.choice((cut, insert, replace, double_line, drop_line, swap))(text, chance)
    content = text.encode("utf-8", "surrogateescape")
    if chance.random() < 0.1:
        at = chance.randrange(len(content) + 1)
        content = content[:at] + bytes(chance.randrange(256) for _ in range(3)) + content[at:]
    return path, content


def cut(text: str, chance: random.Random) -> str:
    begin, end = sorted(chance.randrange(len(text) + 1) for _ in range(2))
    return text[:begin] + text[min(end, begin + 40) :]


def insert(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(PIECES) * chance.choice((1, 1, 1, 90)) + text[at:]


def replace(text: str, chance: random.Random) -> str:
    words = text.split() or [text]
    word = chance.choice(words)
    return text.replace(word, chance.choice((*PIECES, *words)), 1)


def double_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    at = chance.randrange(len(lines))
    return "".join([*lines[: at + 1], *lines[at:]])


def drop_line(text: str, chance: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    del lines[chance.randrange(len(lines))]
    return "".join(lines)


def swap(text: str, chance: random.Random) -> str:
    other = FILES[chance.choice(TARGETS)]
    at = chance.randrange(len(text) + 1)
    return text[:at] + other[chance.randrange(len(other)) :][:60]


def survive(root: Path, path: str, content: bytes) -> int:
    """Load and plan the package with this file; returns how many problems there are, each with file and line."""
    file = root / "packages" / tree.NAME / path
    file.write_bytes(content)
    recipes = tree.loaded(root)
    plan = draft(parse({"oven": "fake"}, "test", root), recipes, Lock(), locked=False)
    lines = max(content.count(b"\n"), content.count(b"\r")) + content.count("\u2028".encode()) + 2
    for problem in (*recipes.problems, *plan.problems):
        assert problem.file
        assert problem.message
        assert problem.hint
        assert 1 <= problem.line <= (lines if problem.file.endswith(path) else 10_000)
        assert "\n" not in str(problem)
    assert recipes.recipes or any(problem.severity is Severity.ERROR for problem in recipes.problems)
    file.write_bytes(FILES[path].encode())
    return len(recipes.problems)
