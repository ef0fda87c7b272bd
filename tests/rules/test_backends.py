"""One place asks which back end a stack has: the ``match`` in ``bakery/backends/__init__.py``."""

from __future__ import annotations

import ast

from tests.support import source_tree
from tests.support.every import every
from tests.support.source_tree import within

DEFINES = "bakery.settings"
CHOOSES = "bakery.backends"


def asked(tree: ast.AST) -> list[int]:
    """The lines that name the enum or read a setting ``oven``; a call of a back end's method ``oven()`` is neither."""
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "OvenKind")
        or (isinstance(node, ast.Attribute) and node.attr in ("oven", "OvenKind") and id(node) not in calls)
    ]


def test_one_place_asks_which_back_end_it_is() -> None:
    found = {
        name: lines
        for name, path in source_tree.modules().items()
        if not within(name, DEFINES) and (lines := asked(source_tree.parsed(path)))
    }
    assert set(found) == {CHOOSES}
    (chooses,) = [
        node for node in ast.walk(source_tree.parsed(source_tree.modules()[CHOOSES])) if isinstance(node, ast.Match)
    ]
    assert every(chooses.lineno <= line <= (chooses.end_lineno or 0) for line in found[CHOOSES])
    assert "assert_never" in ast.unparse(chooses.cases[-1])


def test_the_rule_sees_a_question_and_no_call() -> None:
    assert asked(ast.parse("if settings.oven is x: pass")) == [1]
    assert asked(ast.parse("y\nOvenKind.LOCAL")) == [2]
    assert asked(ast.parse("backend.oven().bake(order)")) == []
