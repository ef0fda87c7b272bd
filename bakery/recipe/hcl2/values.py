"""Values of HCL2: those of JSON, references to variables that are filled in later, and what can't be followed.

A string that depends on variables has Packer's own ``{{user `name`}}`` in it, as in a JSON template: everything after
this part is the same for both languages. Source of conversions: go-cty, ``convert``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bakery.recipe.model import Json
from bakery.recipe.parse.hcl_text import to_number as parse_number
from bakery.recipe.templating import NOT_FOLLOWED

Value = Any  # Json, Variable, Unfollowed, or lists and dicts of these

ROOT = "{{template_dir}}"  # path.root
SEQUENCE = re.compile(r"([$%])\{")  # begins what a template string has to escape
_MARKER = re.compile(r'\{\{hcl ("(?:[^"\\]|\\.)*")\}\}')


class Invalid(Exception):
    """Packer refuses the template; ``args`` are the line, what is wrong and the hint.

    ``file`` is only set if it is not the one of the block that is evaluated.
    """

    file = ""


class Outside(Invalid):
    """The template reads a file that is not staged; no ``try`` of the template may hide that."""


class NotFollowed(Exception):
    """The value is only known in the bake; ``args`` are paths of files that Packer reads then."""


class Set(list[Any]):
    """A set in the order in which HCL walks over it. Its keys are its elements, and it has no numbered ones."""


@dataclass(frozen=True)
class Variable:
    """A variable with a string, number or boolean, which the plan fills in."""

    name: str


@dataclass(frozen=True)
class Unfollowed:
    """An expression that Packer has to evaluate in the bake; ``text`` is its source."""

    text: str


def marker(text: str) -> str:
    """Return an expression that only Packer can evaluate, in the form of the template model."""
    return f"{NOT_FOLLOWED}{json.dumps(text, ensure_ascii=False)}}}}}"


def fill_markers(text: str, replace: Callable[[str], str]) -> str:
    """Return ``text`` with each marker replaced by ``replace(expression)``."""
    return _MARKER.sub(lambda match: replace(json.loads(match[1])), text)


def to_text(value: Value, line: int) -> str:
    """Return a value as an interpolation writes it. Raises Invalid for null and collections."""
    if isinstance(value, str):
        return value
    if isinstance(value, Variable):
        return f"{{{{user `{value.name}`}}}}"
    if isinstance(value, Unfollowed):
        return marker(value.text)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    what = "null" if value is None else "a list or an object"
    raise Invalid(line, f"{what} in a string", "write a string, a number or a boolean there")


def number_text(value: float) -> str:
    """Return a number without an exponent. Raises NotFollowed for one that Python rounds."""
    text = repr(value)
    if "e" in text or "n" in text:
        raise NotFollowed
    return text


def to_json(value: Value) -> Json:
    """Return a value in the form of the template model."""
    if isinstance(value, (Variable, Unfollowed)):
        return to_text(value, 0)
    if isinstance(value, list):
        return [to_json(entry) for entry in value]
    if isinstance(value, dict):
        return {key: to_json(entry) for key, entry in value.items() if entry is not None}
    return value


def to_number(value: Value, line: int) -> float:
    """Return the number that a value is converted to. Raises Invalid, and NotFollowed for one that Python rounds."""
    if isinstance(value, str):
        with suppress(ValueError):
            if (number := parse_number(value)) is None:
                raise NotFollowed
            return number
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    raise Invalid(line, f"{described(value)} is not a number", "write a number")


def to_bool(value: Value, line: int) -> bool:
    """Return the boolean that a value is converted to. Raises Invalid."""
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise Invalid(line, f"{described(value)} is not true or false", "write a condition")


def described(value: Value) -> str:
    """Return a value for a message, shortened."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, Variable):
        return f"var.{value.name}"
    if isinstance(value, Unfollowed):
        return value.text[:40]
    text = "null" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def equal(one: Value, other: Value) -> bool:
    """Whether two resolved values are equal; values of different types never are."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(entry, other[key]) for key, entry in one.items())
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
