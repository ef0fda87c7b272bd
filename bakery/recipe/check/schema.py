"""A validator of the few keywords of JSON Schema that ``schemas/fluidrun.schema.json`` uses.

Every changed package is validated, and importing jsonschema takes longer than all other checks of a package. The tests
compare both validators.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from bakery.recipe.model import Json
from bakery.recipe.parse.document import Where

KEYWORDS = frozenset({"type", "required", "properties", "items", "minItems", "pattern", "minimum", "maximum"})
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "number": (int, float),
    "null": (type(None),),
}


def faults(schema: Json, value: Json, where: Where = ()) -> Iterator[tuple[Where, Any, str]]:
    """Yield place and value of everything that the schema rejects, and the key of a required value that is missing."""
    types = schema["type"]
    if not (_is(types, value) if isinstance(types, str) else any(_is(name, value) for name in types)):
        yield where, value, ""
    elif isinstance(value, dict):
        yield from ((where, value, key) for key in schema.get("required", ()) if key not in value)
        for key, inner in schema["properties"].items():
            if key in value and not _is_right(inner, value[key]):
                yield from faults(inner, value[key], (*where, key))
    elif isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield where, value, ""
        for index, entry in enumerate(value):
            yield from faults(schema["items"], entry, (*where, index))
    elif isinstance(value, str):
        if "pattern" in schema and _compiled(schema["pattern"])(value) is None:
            yield where, value, ""
    elif value is not None and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield where, value, ""


def _is_right(schema: Json, value: Json) -> bool:
    """Whether a value without parts is right; most are, and :func:`faults` takes five times as long to say so."""
    types = schema["type"]  # a name, or a list of names
    if type(value) is str:
        return "string" in types and ("pattern" not in schema or _compiled(schema["pattern"])(value) is not None)
    return value is None and "null" in types


@cache
def _compiled(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern).search


def _is(name: str, value: Json) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name]) or (name == "integer" and isinstance(value, float) and value.is_integer())
