"""The functions of HCL2 that read or write a format: JSON, ``format``'s verbs, regular expressions."""

from __future__ import annotations

import json
import re
from typing import Any

from bakery.recipe.hcl2.values import NotFollowed, Value, number_text, to_text

_VERB = re.compile(r"%(%|[-0+ ]*[0-9]*(?:\.[0-9]+)?[sdvtf])")
_HTML = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
# Where Go's regular expressions (RE2) and Python's mean something else by the same text, or one has no such thing.
_OTHER = re.compile(r"\[\[:|\\[pPQEzZAC1-9]|\(\?[^:P]|\(\?P[^<]|[*+?}]\+|\[[^\]]*&&|\\x\{")


class BadArguments(Exception):
    """Packer refuses the arguments; ``args`` are what is wrong and the hint."""


def as_json(value: Value) -> str:
    """Return ``jsonencode``: keys sorted, no blanks, and the characters of HTML escaped, as Go's encoder does."""
    text = json.dumps(_exact(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return "".join(_HTML.get(sign, sign) for sign in text)


def _exact(value: Value) -> Value:
    if isinstance(value, float):
        number_text(value)
    elif isinstance(value, list):
        return [_exact(entry) for entry in value]
    elif isinstance(value, dict):
        return {key: _exact(entry) for key, entry in value.items()}
    return value


def from_json(text: str) -> Value:
    """Return ``jsondecode``; a number with a fraction or an exponent is not followed."""

    def refused(_: str) -> Any:
        raise NotFollowed

    return json.loads(text, parse_float=refused, parse_constant=refused)


def whole(number: float) -> float:
    """Return an integer. Raises NotFollowed for a fraction: HCL's are decimal."""
    if isinstance(number, float):
        raise NotFollowed
    return number


def formatted(template: str, *values: Value) -> str:
    """Return ``format``."""
    rest = list(values)

    def fill(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        return _verb(match[1], rest.pop(0))

    made = _VERB.sub(fill, template)
    if rest or "%" in _VERB.sub("", template):
        raise NotFollowed  # wrong verbs, or ones that are seldom used
    return made


def _verb(verb: str, value: Value) -> str:
    options, kind = verb[:-1], verb[-1]
    if kind == "d" and isinstance(value, int) and not isinstance(value, bool):
        return f"%{options}d" % value
    if kind == "f" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"%{options}f" % value
    if kind in "svt" and not options.strip("-0123456789"):
        if value is None:
            raise NotFollowed  # Packers differ
        if isinstance(value, (list, dict)):
            if kind == "v" and not options:
                return as_json(value)
            raise NotFollowed
        if kind == "v" and _has_exponent(value):
            raise NotFollowed
        return f"%{options}s" % to_text(value, 0)
    raise NotFollowed


def _has_exponent(value: Value) -> bool:
    """Whether ``%v`` writes a number with an exponent (Go's ``math/big``: from 1e+06 on, and below 0.0001)."""
    return isinstance(value, (int, float)) and (abs(value) >= 1e6 or 0 < abs(value) < 1e-4)


def formatted_list(template: str, *values: Value) -> list[str]:
    """Return ``formatlist``."""
    lengths = {len(value) for value in values if isinstance(value, list)}
    if len(lengths) != 1:
        raise NotFollowed
    return [
        formatted(template, *(value[index] if isinstance(value, list) else value for value in values))
        for index in range(lengths.pop())
    ]


def _compiled(pattern: str, text: str) -> re.Pattern[str]:
    if _OTHER.search(pattern) or ("\n" in text and re.search(r"[$.]", pattern)) or not pattern.isascii():
        raise NotFollowed
    try:
        return re.compile(pattern, re.ASCII)
    except re.error:
        raise NotFollowed from None


def _groups(match: re.Match[str]) -> Value:
    if match.re.groupindex:
        return match.groupdict()
    return list(match.groups()) if match.re.groups else match[0]


def regex(pattern: str, text: str) -> Value:
    """Return ``regex``: the match, or its groups. Raises BadArguments if there is none."""
    match = _compiled(pattern, text).search(text)
    if match is None:
        raise BadArguments("a regular expression without a match", "use try(regex(...), ...), or fix the pattern")
    return _groups(match)


def regex_all(pattern: str, text: str) -> list[Value]:
    """Return ``regexall``."""
    return [_groups(match) for match in _compiled(pattern, text).finditer(text)]
