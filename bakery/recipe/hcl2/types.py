"""Type constraints of variables, and the conversion of values to them.

Source: Packer, "Input variables", "Type constraints"; go-cty, ``convert``; a value that does not fit is refused.
"""

from __future__ import annotations

from typing import NamedTuple

from bakery.recipe.hcl2.values import (
    Invalid,
    NotFollowed,
    Set,
    Unfollowed,
    Value,
    described,
    to_bool,
    to_number,
    to_text,
)
from bakery.recipe.parse import hcl_nodes as nodes

_COLLECTIONS = ("list", "set", "map")
SCALARS = ("string", "number", "bool")


class Type(NamedTuple):
    """``kind`` is string, number, bool, any, list, set, map, tuple or object.

    ``of`` is the type of the elements; ``fields`` the types of an object's attributes, or of a tuple's elements by
    index; ``optional`` the defaults of the attributes that may be missing.
    """

    kind: str
    of: Type | None = None
    fields: tuple[tuple[str, Type], ...] = ()
    optional: tuple[tuple[str, nodes.Expression | None], ...] = ()


ANY = Type("any")


def parse_type(expression: nodes.Expression) -> Type:
    """Return the type that an expression names. Raises Invalid."""
    match expression:
        case nodes.Name(name=name) if name in (*SCALARS, "any"):
            return Type(name)
        case nodes.Name(name=name) if name in _COLLECTIONS:
            hint = f"write {name}(string), or another type in the parentheses"
            raise Invalid(expression.line, f"{name} has no type of its elements", hint)
        case nodes.Call(name=name, arguments=(inner,)) if name in _COLLECTIONS:
            return Type(name, parse_type(inner))
        case nodes.Call(name="tuple", arguments=(nodes.Tuple(items=items),)):
            return Type("tuple", fields=tuple((str(index), parse_type(item)) for index, item in enumerate(items)))
        case nodes.Call(name="object", arguments=(nodes.Object(items=pairs),)):
            return _object(pairs)
    hint = "write string, number, bool, any, list(...), set(...), map(...), object({...}) or tuple([...])"
    raise Invalid(expression.line, f"{expression.text[:40]} is not a type", hint)


def is_exact(kind: Type) -> bool:
    """Whether a type has no ``any`` and no ``optional``, which Packer's variables don't take."""
    inner = [one for _, one in kind.fields] + ([kind.of] if kind.of else [])
    return kind.kind != "any" and not kind.optional and all(map(is_exact, inner))


def _object(pairs: tuple[tuple[nodes.Expression, nodes.Expression], ...]) -> Type:
    fields, optional = [], []
    for key, value in pairs:
        name = str(key.value) if isinstance(key, nodes.Literal) else key.text
        inner = value
        if isinstance(value, nodes.Call) and value.name == "optional" and value.arguments:
            inner = value.arguments[0]
            optional.append((name, value.arguments[1] if len(value.arguments) > 1 else None))
        fields.append((name, parse_type(inner)))
    return Type("object", fields=tuple(fields), optional=tuple(optional))


def convert(value: Value, kind: Type, line: int) -> Value:
    """Return a value as one of this type. Raises Invalid."""
    if value is None or isinstance(value, Unfollowed) or kind.kind == "any":
        return value
    if kind.kind in SCALARS and not isinstance(value, (list, dict)):
        return {"string": to_text, "number": to_number, "bool": to_bool}[kind.kind](value, line)
    made: Value = None
    if kind.of is not None and kind.kind in ("list", "set") and isinstance(value, list):
        made = [convert(entry, kind.of, line) for entry in value]
        made = to_set(made) if kind.kind == "set" else made
    elif kind.of is not None and kind.kind == "map" and isinstance(value, dict):
        made = {key: convert(entry, kind.of, line) for key, entry in value.items()}
    elif kind.kind == "tuple" and isinstance(value, list) and len(value) == len(kind.fields):
        made = [convert(entry, inner, line) for entry, (_, inner) in zip(value, kind.fields, strict=True)]
    elif kind.kind == "object" and isinstance(value, dict):
        made = _to_object(value, kind, line)
    if made is None:
        raise Invalid(line, f"{described(value)} does not fit the type {kind.kind}", "change the value or the type")
    return made


def _to_object(value: dict[str, Value], kind: Type, line: int) -> Value:
    defaults = {name: default.value if isinstance(default, nodes.Literal) else None for name, default in kind.optional}
    if any(default is not None and not isinstance(default, nodes.Literal) for _, default in kind.optional):
        raise Invalid(line, "the default of an optional attribute is not a literal", "write a literal")
    for name, _ in kind.fields:
        if name not in value and name not in defaults:
            raise Invalid(line, f"attribute {name} is missing", f"add {name}, or make it optional({name})")
    return {name: convert(value.get(name, defaults.get(name)), inner, line) for name, inner in kind.fields}


def to_set(values: list[Value]) -> Set:
    """Return the values in the order in which HCL walks over a set. Raises NotFollowed for a set of collections."""
    kinds = {type(entry) for entry in values}
    if kinds in ({str}, {int}, {float}, {int, float}):
        return Set(sorted(set(values)))
    if kinds:
        raise NotFollowed
    return Set()
