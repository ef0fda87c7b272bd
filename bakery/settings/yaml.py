"""YAML as the engine reads it: the scalars of Go's yaml.v3, which are not those of PyYAML.

``on`` and ``12:30`` are texts, ``010`` and ``1e3`` are numbers, and the engine writes a date out with a time. Numbers
are those of Go's JSON, in which 1.0 is 1.
"""

import json
import re
from datetime import datetime
from typing import Any

import yaml

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # without libyaml: the same, slower
TAGS = ("null", "bool", "int", "float", "timestamp", "value", "str")
WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|(?P<octal>0[oO]?[0-7]+)|0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?")
_EXACT = 1e21  # Go's JSON writes larger numbers with an exponent


class _Loader(Loader):  # type: ignore[misc]
    """The safe loader, with constructors of its own."""


for _tag in TAGS:
    _Loader.add_constructor(
        f"tag:yaml.org,2002:{_tag}", lambda _loader, node: node.value if node.style else plain(node.value)
    )


def load(content: bytes) -> Any:
    """Return the document, whose keys are texts; None if it is empty. Raises yaml.YAMLError."""
    return json.loads(json.dumps(yaml.load(content, _Loader)))


def plain(text: str) -> Any:
    """Return the value of a scalar without quotes."""
    if text in WORDS:
        return WORDS[text]
    digits = text if text.startswith("_") else text.replace("_", "")
    if match := _INT.fullmatch(digits):
        return int(digits, 8 if match["octal"] else 0)
    if _FLOAT.fullmatch(digits):
        real = float(digits)
        return int(real) if real.is_integer() and abs(real) < _EXACT else real
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} +0000 UTC" if _TIME.fullmatch(text) else text
    except ValueError:  # there is no such day
        return text
