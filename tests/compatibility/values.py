"""Random values of any model, by its type hints: what the encoders are compared on."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Union, get_args, get_origin, get_type_hints

from bakery.recipe import model as recipe_model

TEXTS = (
    *("", " ", "a", "A", "gcc@12.2.0", "packages/app/install.sh", "${_NAME}", "{{user `name`}}", "null", "true", "1"),
    *('"quoted"', "back\\slash", "tab\there", "line\nend", "\r", "\0", "\x1b[1m", "\x7f", "é", "e\u0301", "ß", "日本"),
    *("\u2028", "\ufeff", "\ufffd", "😀", "\U0010ffff", "\udc80", "[1,2]", '{"a":1}', "-0", "1e5", "z" * 70),
)
INTEGERS = (0, 1, -1, 2, 60, 3600, 0o644, 0o755, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))
HUGE = 10**30  # only where any JSON is taken: no field of a model is so large
FLOATS = (0.0, -0.0, 1.0, -1.5, 0.1, 1 / 3, 1e-7, 1e16, 1e22, 123456789.123, 5e-324, 1.7976931348623157e308)
DEEPEST = 3


def value(kind: Any, random: Random, depth: int = 0) -> Any:
    """A value of that type."""
    if kind is Any or kind is object:
        return json_value(random, depth)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return value(random.choice(get_args(kind)), random, depth)
    if origin in (tuple, frozenset):
        return origin(value(get_args(kind)[0], random, depth + 1) for _ in range(size(random, depth)))
    if origin is not None and issubclass(origin, Mapping):
        keys, held = get_args(kind)
        return {value(keys, random, depth): value(held, random, depth + 1) for _ in range(size(random, depth))}
    if dataclasses.is_dataclass(kind) or is_named_tuple(kind):
        return model(kind, random, depth)
    return plain(kind, random)


def model(kind: Any, random: Random, depth: int = 0) -> Any:
    """An instance; a field that has a default is left to it now and then."""
    hints, optional = hints_of(kind), with_defaults(kind)
    given = {
        name: value(hints[name], random, depth + 1)
        for name in (kind._fields if is_named_tuple(kind) else [field.name for field in dataclasses.fields(kind)])
        if not (name in optional and random.random() < 0.2)
    }
    return kind(**given)


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, localns=vars(recipe_model))  # bakery.plan.digest has them for type checkers only


def is_named_tuple(kind: Any) -> bool:
    return hasattr(kind, "_fields")


def with_defaults(kind: Any) -> set[str]:
    """The fields that have a default."""
    if is_named_tuple(kind):
        return {*kind._field_defaults}
    none = dataclasses.MISSING
    return {one.name for one in dataclasses.fields(kind) if (one.default, one.default_factory) != (none, none)}


def as_mappings(value: Any) -> Any:
    """The value with mappings in place of named tuples, which were dataclasses in version 0.1.0: written alike."""
    if is_named_tuple(value):
        return {name: as_mappings(part) for name, part in value._asdict().items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: as_mappings(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    if isinstance(value, Mapping):
        return {key: as_mappings(part) for key, part in value.items()}
    return tuple(map(as_mappings, value)) if isinstance(value, tuple) else value


def plain(kind: Any, random: Random) -> Any:
    """A value without parts. A string is never an absolute path: of ``Path | str`` that would be read as a path."""
    if kind in SIMPLE:
        return SIMPLE[kind](random)
    if issubclass(kind, Enum):
        return random.choice(list(kind))
    assert issubclass(kind, Path), kind
    return kind(
        "/" + "/".join(random.choice(("opt", "a b", "é", ".x", "packages")) for _ in range(random.randrange(4)))
    )


def integer(random: Random) -> int:
    return random.choice(INTEGERS) if random.random() < 0.7 else random.randrange(-(10**6), 10**6)


def number(random: Random) -> float:
    return random.choice(FLOATS) if random.random() < 0.7 else random.uniform(-1e6, 1e6)


def text(random: Random) -> str:
    if random.random() < 0.6:
        return random.choice(TEXTS)
    return random.choice(TEXTS) + "".join(chr(random.choice((65, 97, 233, 0x4E00, 0x1F600))) for _ in range(4))


SIMPLE: dict[Any, Callable[[Random], Any]] = {
    type(None): lambda _random: None,
    bool: lambda random: random.random() < 0.5,
    int: integer,
    float: number,
    str: text,
}


def json_value(random: Random, depth: int = 0) -> Any:
    """Any JSON value, with lists and objects up to a depth."""
    choice = random.randrange(7 if depth < DEEPEST else 5)
    if choice == 5:
        return [json_value(random, depth + 1) for _ in range(size(random, depth))]
    if choice == 6:
        return {text(random): json_value(random, depth + 1) for _ in range(size(random, depth))}
    return HUGE if random.random() < 0.02 else plain((type(None), bool, int, float, str)[choice], random)


def size(random: Random, depth: int) -> int:
    return random.randrange(4 if depth < DEEPEST else 2)
