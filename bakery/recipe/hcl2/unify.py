"""One type for several values, as HCL makes it for the two sides of a condition and the elements of a list.

Source: go-cty, ``convert/unify.go``. A number or a boolean beside a text is a text; lists of different lengths become
lists of one type, and objects with different attributes maps of one type. Whether a value is a list or a tuple (a map
or an object) is not known here: where that makes a difference, the result is not followed.
"""

from __future__ import annotations

from collections.abc import Sequence

from bakery.recipe.hcl2.values import Invalid, NotFollowed, Set, Value, to_text
from bakery.recipe.parse import hcl_nodes as nodes


class NoCommonType(Exception):
    """The values have no type that all of them fit."""


def unified(values: Sequence[Value], *, written: bool = False) -> list[Value]:
    """Return resolved values as values of one type; ``written`` if those of collections are literals of the template.

    Raises NoCommonType and NotFollowed.
    """
    made = _common(values, loose=False)
    try:
        certain = written or made == _common(values, loose=True)
    except NoCommonType:
        certain = False
    if not certain:
        raise NotFollowed
    return made


def chosen_side(value: Value, sides: tuple[Value, Value], condition: nodes.Conditional) -> Value:
    """Return the chosen side of a condition. ``sides`` are its resolved value and the other's.

    Raises Invalid and NotFollowed.
    """
    line = condition.line
    written = all(isinstance(one, (nodes.Tuple, nodes.Object)) for one in (condition.then, condition.otherwise))
    try:
        made, _ = unified(sides, written=written)
    except NoCommonType:
        hint = "write both as the same type"
        raise Invalid(line, "the two sides of a condition have different types", hint) from None
    if made == sides[0]:
        return value
    return to_text(value, line) if isinstance(made, str) else made


def _kind(value: Value) -> str:
    for kind, types in (("bool", bool), ("number", (int, float)), ("text", str), ("set", Set), ("list", list)):
        if isinstance(value, types):
            return kind
    return "object" if isinstance(value, dict) else "unknown"


def _common(values: Sequence[Value], *, loose: bool) -> list[Value]:
    """Return the values as those of one type; ``loose`` takes for lists and maps all that might be some."""
    kinds = {_kind(value) for value in values if value is not None}
    if "unknown" in kinds or kinds == {"set", "list"}:
        raise NotFollowed
    if kinds in ({"list"}, {"object"}):
        return _collections(values, loose=loose)
    if len(kinds) <= 1:
        return list(values)
    if "text" in kinds and kinds <= {"text", "number", "bool"}:
        return [None if value is None else to_text(value, 0) for value in values]
    raise NoCommonType


def _collections(values: Sequence[Value], *, loose: bool) -> list[Value]:
    made = [dict(enumerate(value)) if isinstance(value, list) else value for value in values]
    present = [value for value in made if value is not None]
    differ = any(value.keys() != present[0].keys() for value in present)
    alike = loose and len(present) > 1 and any(_is_alike(list(value.values())) for value in present)
    found = _entries(made, together=differ or alike, loose=loose)
    return [list(one.values()) if isinstance(value, list) else one for value, one in zip(values, found, strict=True)]


def _is_alike(values: list[Value]) -> bool:
    """Whether values have one type, as those of a list or a map have."""
    try:
        return _common(values, loose=False) == values
    except NoCommonType:
        return False


def _entries(values: Sequence[Value], *, together: bool, loose: bool) -> list[Value]:
    """Return mappings whose entries have one type: all of them ``together``, or those of one key."""
    places = [(at, key) for at, value in enumerate(values) for key in value or ()]
    keys = [None] if together else sorted({key for _, key in places}, key=str)
    made: list[Value] = [None if value is None else dict(value) for value in values]
    for chosen in keys:
        own = [(at, key) for at, key in places if chosen is None or key == chosen]
        found = _common([values[at][key] for at, key in own], loose=loose)
        for (at, key), value in zip(own, found, strict=True):
            made[at][key] = value
    return made
