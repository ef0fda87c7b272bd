"""What an object can do is known from its type: protocols are whole, and nothing looks for a method at run time."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.support import source_tree

# Objects behind a protocol of the bakery, by the names that variables and attributes have.
PROTOCOL_OBJECTS = {"library", "libraries", "shelf", "oven", "cluster", "clusters", "resolver", "backend"}
PROBES = {"callable", "dir", "getattr", "hasattr", "isinstance", "issubclass", "type", "vars"}
KINDS = ("Library", "Oven", "Clusters", "Cluster", "Backend", "Resolver")  # how their classes' names end


def product() -> list[Path]:
    return [path for path in source_tree.modules().values() if path.parts[0] in ("bakery", "__main__.py")]


def last_name(node: ast.expr) -> str:
    """``library`` of ``self.library``, of ``library`` and of ``backend.library()``."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Attribute):
        return node.attr.lstrip("_")
    return node.id.lstrip("_") if isinstance(node, ast.Name) else ""


def names_a_protocol(annotation: ast.expr | None) -> bool:
    """Whether an annotation, which may be a string, is one of the protocols or a union with one."""
    words = set(re.findall(r"\w+", ast.unparse(annotation))) if annotation else set()
    return bool(words & set(KINDS))


def protocol_objects(tree: ast.AST) -> set[str]:
    """Return the names that a module gives to objects behind a protocol: by annotation, or by an assignment."""
    known = set(PROTOCOL_OBJECTS)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg | ast.AnnAssign) and names_a_protocol(node.annotation):
            known.add(node.arg if isinstance(node, ast.arg) else last_name(node.target))
        elif isinstance(node, ast.Assign) and last_name(node.value) in PROTOCOL_OBJECTS:
            known |= {last_name(target) for target in node.targets}
    return known


def probes(tree: ast.AST) -> Iterator[ast.expr | ast.pattern | ast.ExceptHandler]:
    """What asks at run time what a library, an oven or a cluster is or has."""
    known = protocol_objects(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and last_name(node.func) in PROBES:
            kinds = [one for one in ast.walk(node.args[-1]) if isinstance(one, ast.Name | ast.Attribute)]
            asked = last_name(node.func) == "isinstance" and any(last_name(one).endswith(KINDS) for one in kinds)
            yield from [node] if asked or last_name(node.args[0]) in known or of_method(node, known) else []
        elif isinstance(node, ast.MatchClass):
            yield from [node] if last_name(node.cls).endswith(KINDS) else []
        elif isinstance(node, ast.Match):
            classes = (one.pattern for one in node.cases if isinstance(one.pattern, ast.MatchClass))
            yield from (
                one for one in classes if last_name(node.subject) in known and not last_name(one.cls).endswith(KINDS)
            )
        elif isinstance(node, ast.Attribute) and node.attr in ("__class__", "__dict__"):
            yield from [node] if last_name(node.value) in known else []
        elif isinstance(node, ast.Try) and known & {last_name(one) for one in ast.walk(node) if expression(one)}:
            yield from (one for one in node.handlers if one.type and "AttributeError" in ast.unparse(one.type))


def expression(node: ast.AST) -> TypeGuard[ast.expr]:
    return isinstance(node, ast.expr)


def of_method(call: ast.Call, known: Collection[str]) -> bool:
    """Whether a call is ``callable(library.proofs)``."""
    asked = call.args[0]
    return last_name(call.func) == "callable" and isinstance(asked, ast.Attribute) and last_name(asked.value) in known


@pytest.mark.parametrize("path", product(), ids=str)
def test_nothing_asks_at_run_time_what_a_protocol_object_can_do(path: Path) -> None:
    assert [f"{path}:{call.lineno} {ast.unparse(call)}" for call in probes(source_tree.parsed(path))] == []


def test_no_protocol_is_checked_at_run_time() -> None:
    assert [str(path) for path in product() if "runtime_checkable" in source_tree.text(path)] == []


def test_one_protocol_describes_a_library() -> None:
    """Whatever class has two methods of the library, or a protocol one, is the protocol or implements all of it."""
    (protocol,) = (node for node in classes(Path("bakery/library/base.py")) if node.name == "Library")
    whole = methods(protocol)
    assert len(whole) > 15
    partial = {}
    for path in product():
        for node in classes(path):
            missing = whole - methods(node)
            few = 0 if any(last_name(base) == "Protocol" for base in node.bases) else 1
            if len(whole) - len(missing) > few and missing:
                partial[f"{path} {node.name}"] = sorted(missing)
    assert partial == {}


def classes(path: Path) -> Iterator[ast.ClassDef]:
    return (node for node in source_tree.nodes(path) if isinstance(node, ast.ClassDef))


def methods(node: ast.ClassDef) -> set[str]:
    """The public methods. A property of a protocol may be an attribute in a class, which mypy checks."""
    found = [one for one in node.body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")]
    return {one.name for one in found if "property" not in map(last_name, one.decorator_list)}


@pytest.mark.parametrize(
    "text",
    [
        "getattr(library, 'proofs', None)",
        "isinstance(self.library, LocalLibrary)",
        "hasattr(self._oven, 'log')",
        "x = isinstance(clusters, Local) or y",
        "getattr(self.backend.library(), 'proofs')",
        "isinstance(held, base.Library)",
        "type(library) is Local",
        "library.__class__ is Local",
        "match held:\n    case LocalLibrary(): pass",
        "match library:\n    case object(proofs=proofs): pass",
        "def f(held: Library | None): hasattr(held, 'proofs')",
        "def f(held: 'base.Oven'): vars(held)",
        "held = backend.library()\ngetattr(held, 'proofs')",
        "callable(library.proofs)",
        "library.__dict__",
        "try:\n    library.proofs()\nexcept AttributeError: pass",
    ],
)
def test_a_probe_is_recognised(text: str) -> None:
    assert len(list(probes(ast.parse(text)))) == 1


@pytest.mark.parametrize("text", ["isinstance(library.find(name), ImageRecord)", "getattr(error, 'library', None)"])
def test_other_checks_are_not_probes(text: str) -> None:
    assert list(probes(ast.parse(text))) == []
