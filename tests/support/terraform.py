"""The variables that a Terraform configuration declares, and whether values have their types.

Source: Terraform's "Type Constraints" and "Input Variables". A value of an object type needs all attributes; Terraform
drops others without a word, which is a fault here: whoever writes one means something by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.findings import Findings
from bakery.recipe.parse.hcl import parse_hcl

Json = Any
SCALARS: Mapping[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "bool": (bool,)}


@dataclass(frozen=True)
class Variable:
    """A variable; one without a default has to be given."""

    type: nodes.Expression | None
    needed: bool


def variables(file: Path) -> dict[str, Variable]:
    """The variables that a file declares."""
    findings = Findings()
    body = parse_hcl(file.read_bytes(), findings)
    assert body is not None and not findings.problems, findings.problems
    found = {block.labels[0]: block.body.attributes for block in body.of("variable")}
    types = {name: given["type"].expression if "type" in given else None for name, given in found.items()}
    return {name: Variable(types[name], "default" not in given) for name, given in found.items()}


def faults(declared: Mapping[str, Variable], values: Mapping[str, Json]) -> list[str]:
    """What Terraform rejects of the values, or ignores."""
    found = [f"{name}: not declared" for name in values if name not in declared]
    found += [f"{name}: missing" for name, one in declared.items() if one.needed and name not in values]
    for name in values.keys() & declared.keys():
        found += _faults(declared[name].type, values[name], name)
    return sorted(found)


def _faults(kind: nodes.Expression | None, value: Json, where: str) -> Iterator[str]:
    if value is None or kind is None or (isinstance(kind, nodes.Name) and kind.name == "any"):
        return
    if isinstance(kind, nodes.Name):
        right = isinstance(value, SCALARS[kind.name]) and (kind.name == "bool" or not isinstance(value, bool))
        yield from () if right else (f"{where}: {value!r} is not a {kind.name}",)
        return
    assert isinstance(kind, nodes.Call), f"{where}: {kind.text}"
    (argument,) = kind.arguments
    if kind.name in ("list", "set"):
        yield from () if isinstance(value, list) else (f"{where}: {value!r} is not a list",)
        for index, entry in enumerate(value if isinstance(value, list) else ()):
            yield from _faults(argument, entry, f"{where}[{index}]")
    elif not isinstance(value, dict):
        yield f"{where}: {value!r} is not a {kind.name}"
    elif kind.name == "map":
        for key, entry in value.items():
            yield from _faults(argument, entry, f"{where}.{key}")
    else:
        assert (kind.name, type(argument)) == ("object", nodes.Object), kind.text
        yield from _object_faults(argument, value, where)


def _object_faults(kind: nodes.Expression, value: Json, where: str) -> Iterator[str]:
    assert isinstance(kind, nodes.Object)
    known = {key.value: entry for key, entry in kind.items if isinstance(key, nodes.Literal)}
    for key in value.keys() - known.keys():
        yield f"{where}: has no attribute {key}"
    for key, entry in known.items():
        if key not in value:
            yield f"{where}: attribute {key} is missing"
        else:
            yield from _faults(entry, value[key], f"{where}.{key}")
