"""One place asks which back end a stack has: the ``match`` in ``bakery/backends/__init__.py``."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from bakery.backends.base import Backend
from bakery.settings import OvenKind, Place
from tests.support import source_tree
from tests.support.every import every
from tests.support.source_tree import within

DEFINES = "bakery.settings"
CHOOSES = "bakery.backends"


def is_place(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] == "Place"


def compares_place(node: ast.AST) -> bool:
    """Whether a node tells places apart: a comparison, also with their texts, a ``case``, a mapping by place."""
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        bases = any(isinstance(side, ast.Attribute) and side.attr == "bases" for side in sides)
        return any(map(is_place, ast.walk(node))) or (bases and any(isinstance(one, ast.Constant) for one in sides))
    keys = [node.value] if isinstance(node, ast.MatchValue) else node.keys if isinstance(node, ast.Dict) else []
    return any(is_place(key) for key in keys if key)


def renames(node: ast.AST) -> bool:
    """Whether an import gives the enums a name under which this rule would not see them."""
    return isinstance(node, ast.alias) and node.name in ("OvenKind", "Place") and node.asname is not None


def reads_by_name(node: ast.AST) -> bool:
    """Whether a node reads the setting by its name: ``getattr``, ``attrgetter``, a mapping, a pattern."""
    given = node.args if isinstance(node, ast.Call) else [node.slice] if isinstance(node, ast.Subscript) else []
    return any(isinstance(one, ast.Constant) and one.value == "oven" for one in given) or (
        isinstance(node, ast.MatchClass) and "oven" in node.kwd_attrs
    )


def compares_text(node: ast.AST) -> bool:
    """Whether a node compares something with the text of a back end; ``local`` has other meanings, too."""
    sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
    sides += [node.value] if isinstance(node, ast.MatchValue) else []
    texts = {one.value for side in sides for one in ast.walk(side) if isinstance(one, ast.Constant)}
    return bool(texts & ({*OvenKind, *Place} - {OvenKind.LOCAL}))


def names_kind(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Attribute) and ast.unparse(node.value).rpartition(".")[2] == "OvenKind"


def asked(tree: ast.AST) -> list[int]:
    """The lines that name the enum, tell places of bases apart or read a setting ``oven``; not a call of ``oven()``."""
    calls = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return [
        getattr(node, "lineno", 1)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name) and node.id == "OvenKind")
        or (isinstance(node, ast.Attribute) and node.attr in ("oven", "OvenKind") and id(node) not in calls)
        or compares_place(node)
        or renames(node)
        or reads_by_name(node)
        or compares_text(node)
    ]


def test_one_place_asks_which_back_end_it_is() -> None:
    found = {
        name: lines
        for name, path in source_tree.modules().items()
        if not within(name, DEFINES) and (lines := asked(source_tree.parsed(path)))
    }
    assert set(found) == {CHOOSES}
    (chooses,) = [node for node in source_tree.nodes(source_tree.modules()[CHOOSES]) if isinstance(node, ast.Match)]
    assert every(chooses.lineno <= line <= (chooses.end_lineno or 0) for line in found[CHOOSES])
    assert "assert_never" in ast.unparse(chooses.cases[-1])


def decides(node: ast.AST) -> bool:
    """Whether a node of the settings asks what the oven is, also by one of its facts: a comparison or a mapping."""
    asked_of = node.subject if isinstance(node, ast.Match) else node if isinstance(node, ast.Compare) else None
    if isinstance(node, ast.Dict):
        return any(map(names_kind, node.keys)) or compares_place(node)
    if isinstance(node, ast.MatchValue):
        return names_kind(node.value) or compares_text(node) or compares_place(node)
    return (
        compares_place(node)
        or compares_text(node)
        or any(
            (isinstance(one, ast.Attribute) and one.attr in ("oven", "bases", "required"))
            or (isinstance(one, ast.Name) and one.id in ("OvenKind", "Place"))
            for one in (ast.walk(asked_of) if asked_of else ())
        )
    )


def test_settings_do_not_ask_either() -> None:
    """What differs between back ends is a fact of the enum's members, so that a new one has to say it."""
    modules = {name: path for name, path in source_tree.modules().items() if within(name, DEFINES)}
    assert f"{DEFINES}.model" in modules
    wrong = [
        f"{path}:{getattr(node, 'lineno', 1)} {ast.unparse(node)[:100]}"
        for path in modules.values()
        for node in source_tree.nodes(path)
        if decides(node)
    ]
    assert wrong == []


def test_the_rule_sees_a_question_and_no_call() -> None:
    assert asked(ast.parse("if settings.oven is x: pass")) == [1]
    assert asked(ast.parse("y\nOvenKind.LOCAL")) == [2]
    assert asked(ast.parse("shared = bases is Place.LOCAL")) == [1]
    assert asked(ast.parse("match bases:\n    case Place.LOCAL: pass")) == [2]
    assert asked(ast.parse("{settings.Place.LOCAL: 1}[bases]")) == [1]
    assert asked(ast.parse("settings.bases == 'local'")) == [1]
    assert asked(ast.parse("from bakery.settings import OvenKind as Kind")) == [1]
    assert asked(ast.parse("getattr(settings, 'oven')")) == [1]
    assert asked(ast.parse("attrgetter('oven')(settings)")) == [1]
    assert asked(ast.parse("asdict(settings)['oven']")) == [1]
    assert asked(ast.parse("match settings:\n    case Settings(oven=kind): pass")) == [2]
    assert asked(ast.parse("kind in ('cloud-build', 'fake')")) == [1]
    assert asked(ast.parse("backend.oven().bake(order)")) == []
    for text in (
        '"google.project" in settings.oven.required',
        "{Place.LOCAL: 1}",
        "self.bases is local",
        "{OvenKind.FAKE: 1}",
    ):
        assert decides(ast.parse(text, mode="eval").body), text
    assert any(map(decides, ast.walk(ast.parse("match self:\n    case OvenKind.FAKE: pass"))))
    assert not decides(ast.parse("settings.oven.required", mode="eval").body)


def test_the_page_about_back_ends_has_every_member_of_the_protocol() -> None:
    rows = re.findall(r"(?m)^\| (`.*?`) \|", source_tree.text(Path("docs/backends.md")).partition("| member |")[2])
    written = {name for row in rows for name in re.findall(r"`(\w+)(?:\(\))?`", row)}
    members = {name for name in vars(Backend) if not name.startswith("_")}
    assert members and members <= written
