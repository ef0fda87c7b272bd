"""Errors say what is wrong, where, and what to do; problems are shown all at once and in order."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from bakery import errors
from bakery.errors import BakeryError, InputError, Problem, Severity
from tests.support import source_tree
from tests.support.every import every

ERRORS = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}


def test_a_problem_is_file_line_what_and_what_to_do() -> None:
    problem = Problem("packages/a/packer.json", 3, "has no builders", "add one")
    assert str(problem) == "packages/a/packer.json:3: error: has no builders; add one"


def test_a_problem_without_hint_ends_after_the_message() -> None:
    assert str(Problem("a", 1, "is odd", severity=Severity.WARNING)) == "a:1: warning: is odd"


def test_input_errors_come_sorted_and_all_at_once() -> None:
    found = [Problem("b", 1, "x"), Problem("a", 12, "z"), Problem("a", 2, "y")]
    error = InputError(found)
    assert [(p.file, p.line) for p in error.problems] == [("a", 2), ("a", 12), ("b", 1)]
    assert error.render().splitlines() == ["a:2: error: y", "a:12: error: z", "b:1: error: x"]


def test_an_error_is_rendered_with_tail_log_replay_and_hint_in_that_order() -> None:
    error = BakeryError("it broke", hint="mend it", tail=["one", "two"], log=Path("x.log"), replay="make it")
    assert str(error).splitlines() == [
        "it broke",
        "last log lines:",
        "  | one",
        "  | two",
        "log: x.log",
        "replay: make it",
        "hint: mend it",
    ]


def test_what_a_job_printed_can_do_nothing_to_the_terminal() -> None:
    tail = ("\x1b[1;31mred\x1b[0m", "a\tb", "\x1b]0;title\x07\0\u2028")
    shown = BakeryError("m", tail=tail).render().splitlines()[2:]
    assert shown == ["  | red", "  | a       b", "  | \ufffd]0;title\ufffd\ufffd\ufffd"]


def test_an_error_with_nothing_to_add_is_one_line() -> None:
    assert BakeryError("it broke").render() == "it broke"


def test_every_error_is_below_the_one_root() -> None:
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(found) >= 8
    assert every(issubclass(kind, BakeryError) for kind in found)


def test_the_drawn_tree_has_every_error_below_its_parent() -> None:
    drawn: dict[str, str] = {}
    above = {0: "Exception"}
    for indent, name in re.findall(r"(?m)^( *)\* (\w+) ", errors.__doc__ or ""):
        drawn[name] = above[len(indent)]
        above[len(indent) + 2] = name
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert drawn == {kind.__name__: kind.__base__.__name__ for kind in kinds if kind.__base__}


def test_no_error_of_the_tree_is_defined_elsewhere() -> None:
    elsewhere = [
        f"{path}:{node.lineno} {node.name}"
        for path in source_tree.modules().values()
        for node in source_tree.nodes(path)
        if isinstance(node, ast.ClassDef) and {ast.unparse(base).rpartition(".")[2] for base in node.bases} & ERRORS
    ]
    assert elsewhere and [place for place in elsewhere if not place.startswith("bakery/errors.py:")] == []


def test_what_is_uncertain_is_the_infrastructures_fault_and_never_the_images() -> None:
    assert issubclass(errors.Uncertain, errors.InfrastructureFailed)
    assert not issubclass(errors.InfrastructureFailed, (errors.BakeFailed, errors.ImageRejected))
