"""YAML as the engine reads it: the scalars of Go's yaml.v3, which are not those of PyYAML.

``on`` and ``12:30`` are texts, ``010`` and ``1e3`` are numbers, and the engine writes a date out with a time. Numbers
are those of Go's JSON, in which 1.0 is 1. A key that is there twice is an error.
"""

import base64
import json
import re
from datetime import datetime
from typing import Any

import yaml

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: the same, slower
_MERGE = "tag:yaml.org,2002:merge"
TAGS = ("null", "bool", "int", "float", "timestamp", "value", "str")
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|(?P<octal>0[oO]?[0-7]+)|0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
# yaml.v3, resolve.go, allowedTimestampFormats: with T and a zone, with a blank and none, or a date alone
_TIME = re.compile(
    r"(?P<date>\d{4}-\d\d?-\d\d?)"
    r"(?:(?:[Tt](?=.*(?:Z|[-+]\d\d:\d\d)$)| (?!.*(?:Z|[-+]\d\d:\d\d)$))"
    r"(?P<time>\d\d?:\d\d?:\d\d?)(?P<part>\.\d{1,9})?(?P<zone>Z|[-+]\d\d:\d\d)?)?"
)
_NO_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")  # which JSON, and so the engine, cannot write
_EXACT = 1e21  # Go's JSON writes larger numbers with an exponent


class _Loader(Loader):  # type: ignore[misc]
    """The safe loader, with constructors of its own."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Return the mapping. Raises yaml.YAMLError if a key is there twice."""
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != _MERGE:
                if (key.tag, key.value) in seen:
                    raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key.value}", key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


for _tag in TAGS:
    _Loader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", lambda _loader, node: node.value if node.style else plain(node.value)
    )


_Loader.add_constructor(
    "tag:yaml.org,2002:binary", lambda _loader, node: base64.b64decode(node.value).decode("utf-8", "replace")
)


def load(content: bytes) -> Any:
    """Return the document, whose keys are texts; None if it is empty. Raises yaml.YAMLError."""
    try:
        return json.loads(json.dumps(yaml.load(content, _Loader), allow_nan=False))
    except ValueError as error:  # also of base64
        raise yaml.YAMLError(str(error)) from error


def plain(text: str) -> Any:
    """Return the value of a scalar without quotes."""
    if text in WORDS:
        return WORDS[text]
    digits = text if text.startswith("_") else text.replace("_", "")
    if match := _INT.fullmatch(digits):
        return int(digits, 8 if match["octal"] else 0)
    if _FLOAT.fullmatch(digits):
        real = float(digits)
        if real in (float("inf"), float("-inf")):  # Go has no such number
            return text
        return int(real) if real.is_integer() and abs(real) < _EXACT else real
    if _NO_NUMBER.fullmatch(text):
        return float(text.replace(".", ""))
    return _time(text) if text[4:5] == "-" else text


def _time(text: str) -> str:
    """Return a time as Go writes it; other texts, and days that do not exist, as they are."""
    match = _TIME.fullmatch(text)
    if match is None:
        return text
    try:
        time = datetime.strptime(f"{match['date']} {match['time'] or '0:0:0'}", "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text
    zone = match["zone"] or "Z"
    zones = "+0000 UTC" if zone in ("Z", "+00:00", "-00:00") else " ".join([zone.replace(":", "")] * 2)
    part = (match["part"] or "").rstrip("0").rstrip(".")
    return f"{time:%Y-%m-%d %H:%M:%S}{part} {zones}"
