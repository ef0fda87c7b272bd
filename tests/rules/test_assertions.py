"""Every test asserts something that can fail, and no test passes because there is nothing to check."""

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


def constant(test: ast.expr) -> bool:
    """Return whether an assertion's outcome is written in it: ``True``, ``1 == 1``, ``found or True``, ``(found,)``."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(map(constant, test.values))
    if isinstance(test, ast.Compare) and not any(isinstance(one, ast.Call) for one in ast.walk(test)):
        return {ast.unparse(one) for one in test.comparators} == {ast.unparse(test.left)} or not names(test)
    if isinstance(test, ast.Tuple | ast.List | ast.Set | ast.Dict | ast.JoinedStr | ast.Lambda | ast.GeneratorExp):
        return True
    return not names(test)


def names(test: ast.expr) -> bool:
    """Return whether an expression names something."""
    return any(isinstance(one, ast.Name) for one in ast.walk(test))


def asserts(node: ast.FunctionDef, known: Functions, seen: frozenset[str] = frozenset()) -> bool:
    """Return whether a function has an assertion, or calls one of the ``known`` functions that has."""
    if any(isinstance(one, ast.Assert) and not constant(one.test) for one in ast.walk(node)):
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
    """Return the lines with ``all(...)``, which is true for no elements; ``not all(...)`` is not.

    It counts in every assertion, and anywhere in a test, whose assertion may be of its value.
    """
    lines = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert) or (isinstance(node, ast.FunctionDef) and node.name.startswith("test_")):
            negated = {id(one.operand) for one in ast.walk(node) if isinstance(one, ast.UnaryOp)}
            calls = (one for one in ast.walk(node) if isinstance(one, ast.Call) and id(one) not in negated)
            lines |= {one.lineno for one in calls if isinstance(one.func, ast.Name) and one.func.id == "all"}
    return sorted(lines)


def fixed(loop: ast.For, constants: set[str]) -> bool:
    """Return whether a loop is over what is written in the file: a literal, a range, or constants of the module."""
    names = {one.id for one in ast.walk(loop.iter) if isinstance(one, ast.Name)}
    return isinstance(loop.iter, ast.Tuple | ast.List | ast.Set | ast.Dict) or bool(names & {"range", *constants})


def looping(tree: ast.Module) -> list[str]:
    """Return the tests whose assertions are all in loops over what may be empty, or in an ``if`` without ``else``."""
    constants = {
        one.id
        for line in tree.body
        for one in ast.walk(line)
        if isinstance(line, ast.Assign | ast.AnnAssign) and isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)
    } | {one.asname or one.name for one in ast.walk(tree) if isinstance(one, ast.alias) and one.name.isupper()}
    found = []
    for node in (one for named in functions(tree).values() for one in named if one.name.startswith("test_")):
        lines = {one for one in ast.walk(node) if isinstance(one, ast.Assert)}
        loops: list[ast.AST] = [one for one in ast.walk(node) if isinstance(one, ast.For) and not fixed(one, constants)]
        loops += [one for one in ast.walk(node) if isinstance(one, ast.While | ast.If) and not one.orelse]
        inside = {one for loop in loops for one in ast.walk(loop) if isinstance(one, ast.Assert)}
        if lines and lines == inside and not CHECKS & set(called(node)):
            found.append(node.name)
    return found


def test_every_test_asserts_something() -> None:
    files = [path for path in python_files() if path.name.startswith("test_")]
    assert len(files) > 50
    assert [f"{path} {name}" for path in files for name in silent(source_tree.parsed(path))] == []


def test_nothing_is_asserted_of_all_elements_of_what_may_be_empty() -> None:
    """Use :func:`tests.support.every.every`, or compare the list of those that are wrong with an empty one."""
    assert [f"{path}:{line}" for path in python_files() for line in vacuous(source_tree.parsed(path))] == []


def test_no_assertion_waits_for_an_element_of_what_may_be_empty() -> None:
    """Assert that there is something to check, or compare the list of those that are wrong with an empty one."""
    files = [path for path in python_files() if path.name.startswith("test_")]
    assert [f"{path} {name}" for path in files for name in looping(source_tree.parsed(path))] == []


def test_nothing_is_asserted_that_cannot_fail() -> None:
    places = [
        f"{path}:{node.lineno}"
        for path in python_files()
        for node in source_tree.nodes(path)
        if isinstance(node, ast.Assert) and constant(node.test)
    ]
    assert places == []


CONSTANT = ("1 == 1", "x or True", "(x, 'text')", "f'{x}'", "x.y == x.y", "(x for x in y)", "x", "not x", "f() == f()")


def test_the_rules_find_what_they_are_for() -> None:
    tree = ast.parse(
        "def test_silent():\n    run()\n"
        "def test_loud():\n    check()\n"
        "def check():\n    compare()\n"
        "def compare():\n    assert all(x for x in y)\n"
        "def test_raises():\n    pytest.raises(ValueError, f)\n"
        "def test_negated():\n    assert not all(y)\n    assert every(y)\n"
        "def test_assigned():\n    right = all(y)\n    assert right\n"
    )
    assert silent(tree) == ["test_silent"]
    assert vacuous(tree) == [8, 15]
    assert silent(ast.parse("def test_constant():\n    assert True\n")) == ["test_constant"]
    assert [constant(ast.parse(text, mode="eval").body) for text in CONSTANT] == [
        *(True,) * 6,
        *(False,) * 3,
    ]
    assert looping(ast.parse("def test_it():\n    if found:\n        assert one\n")) == ["test_it"]
    looped = "def test_it():\n    for one in {}:\n        assert one\n"
    assert [looping(ast.parse(looped.format(text))) for text in ("found()", "(1, 2)")] == [["test_it"], []]
