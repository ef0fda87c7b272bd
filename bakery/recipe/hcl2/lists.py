"""The functions of HCL2 for lists. Source: go-cty, ``function/stdlib/collection.go`` and ``sequence.go``."""

from __future__ import annotations

import itertools

from bakery.recipe.hcl2.encoding import BadArguments, whole
from bakery.recipe.hcl2.unify import NoCommonType, unified
from bakery.recipe.hcl2.values import NotFollowed, Value, described, equal, to_text


def element(values: list[Value], index: float) -> Value:
    """Return ``element``: the list begins again behind its end."""
    if values and index < 0:
        raise NotFollowed  # Packers differ
    if not values or index != int(index):
        raise BadArguments(f"element has no number {index} of a list with {len(values)}", "check its length")
    return values[int(index) % len(values)]


def coalesce(*values: Value) -> Value:
    """Return ``coalesce``."""
    found = next((value for value in values if value is not None and value != ""), None)
    if found is None:
        raise BadArguments("no argument of coalesce has a value", "add a last argument that has one")
    texts = not isinstance(found, (list, dict)) and any(isinstance(value, str) for value in values)
    return to_text(found, 0) if texts else found  # the arguments have one type


def compact(values: list[Value]) -> list[str]:
    """Return ``compact``."""
    return [to_text(value, 0) for value in values if value is not None and value != ""]


def flatten(values: list[Value]) -> list[Value]:
    """Return ``flatten``."""
    return [one for value in values for one in (flatten(value) if isinstance(value, list) else [value])]


def _elements(values: list[Value]) -> list[Value]:
    """Return a list whose elements have one type."""
    try:
        return unified(values)
    except NoCommonType:
        raise BadArguments("the elements of a list have different types", "write them as one type") from None


def distinct(values: list[Value]) -> list[Value]:
    """Return ``distinct``."""
    made: list[Value] = []
    for value in _elements(values):
        if not any(equal(value, one) for one in made):
            made.append(value)
    return made


def chunks(values: list[Value], size: float) -> list[list[Value]]:
    """Return ``chunklist``."""
    found = _elements(values)
    return [found[begin : begin + int(size)] for begin in range(0, len(found), int(size))]


def part(values: list[Value], begin: float, end: float) -> list[Value]:
    """Return ``slice``."""
    if not 0 <= begin <= end <= len(values):
        raise NotFollowed
    return values[int(begin) : int(end)]


def counted(*numbers: float) -> list[int]:
    """Return ``range``."""
    if not all(isinstance(number, int) for number in numbers):
        raise NotFollowed
    begin, end = map(int, numbers[:2] if len(numbers) > 1 else (0, numbers[0]))
    step = int(numbers[2]) if len(numbers) > 2 else 1 if begin <= end else -1
    if (end - begin) * step < 0:
        raise BadArguments("range never ends", "change the sign of the step")
    if len(found := range(begin, end, step)) > 1024:
        raise NotFollowed
    return list(found)


def index(values: list[Value], value: Value) -> int:
    """Return ``index``."""
    found = [number for number, one in enumerate(values) if equal(one, value)]
    if not found:
        raise BadArguments(f"index finds no {described(value)}", "add it to the list, or use try(...)")
    return found[0]


def first_filled(*lists: list[Value]) -> list[Value]:
    """Return ``coalescelist``."""
    found = next((one for one in lists if one), None)
    if found is None:
        raise BadArguments("all lists of coalescelist are empty", "add a last one that is not")
    return found


def total(values: list[Value]) -> Value:
    """Return ``sum``."""
    if not values:
        raise BadArguments("sum of an empty list", "check its length")
    return whole(sum(values))


def joined(*lists: list[Value]) -> list[Value]:
    """Return ``concat``."""
    if not lists:
        raise BadArguments("concat without a list", "write one")
    return list(itertools.chain(*lists))
