"""HCL's operators. Source: HCL native syntax specification, "Operations"."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bakery.recipe.hcl2.values import Invalid, NotFollowed, Set, Value, described, equal, to_bool, to_number, to_text

_NUMBERS: dict[str, Callable[[float, float], Value]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
LARGEST = 1 << 53  # up to here Python's floats are exact, as HCL's numbers are


def operate(operator: str, values: Sequence[Value], line: int) -> Value:
    """Return the result of one or two operands. Raises Invalid and NotFollowed."""
    if len(values) == 1:
        return not to_bool(values[0], line) if operator == "!" else -to_number(values[0], line)
    if operator in ("==", "!="):
        return equal(*values) is (operator == "==")
    if operator in ("&&", "||"):
        one, other = (to_bool(value, line) for value in values)
        return one and other if operator == "&&" else one or other
    return _exact(operator, to_number(values[0], line), to_number(values[1], line), line)


def _exact(operator: str, one: float, other: float, line: int) -> Value:
    if operator in _NUMBERS:
        result = _NUMBERS[operator](one, other)
        if isinstance(result, float) or abs(result) > LARGEST:
            raise NotFollowed  # HCL's fractions are decimal
        return result
    if other == 0:
        raise Invalid(line, "a division by zero", "divide by another number")
    if not isinstance(one, int) or not isinstance(other, int) or one < 0 or other < 0:
        raise NotFollowed
    if operator == "%":
        return one % other
    if one % other:
        raise NotFollowed
    return one // other


def element(value: Value, key: Value, line: int) -> Value:
    """Return an attribute of an object or an element of a list. Raises Invalid."""
    if isinstance(value, dict):
        text = to_text(key, line)
        if text in value:
            return value[text]
        names = ", ".join(list(value)[:5])
        hint = f"write one of {names}" if names else "it has none"
        raise Invalid(line, f"there is no attribute {described(text)}", hint)
    if isinstance(value, Set):
        raise Invalid(line, "a set has no numbered elements", "walk over it with for")
    if isinstance(value, list):
        number = int(key) if isinstance(key, int) or str(key).isdigit() else -1
        if 0 <= number < len(value):
            return value[number]
        raise Invalid(line, f"there is no element {described(key)}", f"the list has {len(value)}")
    raise Invalid(line, f"{described(value)} has no attributes", "use it as it is")
