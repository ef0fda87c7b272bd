"""Every test asserts something, and no test passes because there is nothing to check."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from tests.support import source_tree

Functions = Mapping[str, list[ast.FunctionDef]]
CHECKS = {"raises", "warns", "fail", "check_schema", "validate"}  # of pytest and jsonschema


def python_files() -> list[Path]:
    return [path for path in source_tree.tracked() if path.parts[0] == "tests" and path.suffix == ".py"]


def functions(tree: ast.AST) -> Functions:
    """Return functions and methods by name."""
    named: dict[str, list[ast.FunctionDef]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            named.setdefault(node.name, []).append(node)
    return named


@cache
def helpers() -> Functions:
    """Return the functions that several files of tests share."""
    named: dict[str, list[ast.FunctionDef]] = {}
    for path in python_files():
        if not path.name.startswith("test_"):
            for name, nodes in functions(source_tree.parsed(path)).items():
                named.setdefault(name, []).extend(nodes)
    return named


def called(node: ast.AST) -> Iterator[str]:
    """Yield the names of the functions and methods that a function calls."""
    for one in ast.walk(node):
        if isinstance(one, ast.Call):
            if isinstance(one.func, ast.Name):
                yield one.func.id
            elif isinstance(one.func, ast.Attribute):
                yield one.func.attr


def asserts(node: ast.FunctionDef, known: Functions, seen: frozenset[str] = frozenset()) -> bool:
    """Return whether a function has an assertion, or calls one of the ``known`` functions that has."""
    if any(isinstance(one, ast.Assert) for one in ast.walk(node)):
        return True
    names = set(called(node)) - seen
    below = seen | names
    return bool(names & CHECKS) or any(asserts(one, known, below) for name in names for one in known.get(name, ()))


def silent(tree: ast.AST) -> list[str]:
    """Return the tests that assert nothing."""
    own = functions(tree)
    known = {name: [*own.get(name, ()), *helpers().get(name, ())] for name in (*own, *helpers())}
    return [
        name for name, nodes in own.items() if name.startswith("test_") and not all(asserts(n, known) for n in nodes)
    ]


def vacuous(tree: ast.AST) -> list[int]:
    """Return the lines that assert ``all(...)``, which is true for no elements; ``assert not all(...)`` is not."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            negated = {id(one.operand) for one in ast.walk(node) if isinstance(one, ast.UnaryOp)}
            calls = (one for one in ast.walk(node.test) if isinstance(one, ast.Call) and id(one) not in negated)
            lines += [one.lineno for one in calls if isinstance(one.func, ast.Name) and one.func.id == "all"]
    return lines


def test_every_test_asserts_something() -> None:
    files = [path for path in python_files() if path.name.startswith("test_")]
    assert len(files) > 50
    assert [f"{path} {name}" for path in files for name in silent(source_tree.parsed(path))] == []


def test_nothing_is_asserted_of_all_elements_of_what_may_be_empty() -> None:
    """Use :func:`tests.support.every.every`, or compare the list of those that are wrong with an empty one."""
    assert [f"{path}:{line}" for path in python_files() for line in vacuous(source_tree.parsed(path))] == []


def test_both_rules_find_what_they_are_for() -> None:
    tree = ast.parse(
        "def test_silent():\n    run()\n"
        "def test_loud():\n    check()\n"
        "def check():\n    compare()\n"
        "def compare():\n    assert all(x for x in y)\n"
        "def test_raises():\n    pytest.raises(ValueError, f)\n"
        "def test_negated():\n    assert not all(y)\n    assert every(y)\n"
    )
    assert silent(tree) == ["test_silent"]
    assert vacuous(tree) == [8]
