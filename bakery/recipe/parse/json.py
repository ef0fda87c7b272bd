"""JSON with positions: values from the standard parser, lines from a scan of the same text.

The scan only runs over text that the parser has taken, so it has to know places, not errors; and only when a line is
asked for.
"""

import json
import re
from bisect import bisect_right
from functools import cache
from itertools import accumulate, count
from typing import Any

from bakery.recipe.parse.document import DEEPEST, GREATEST, Document, Where, text
from bakery.recipe.parse.findings import Findings, one_line

# Commas and colons are passed over: the text is right, so they say nothing about places.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s"\[\]{},:]+', re.DOTALL)
_NEWLINE = re.compile("\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json(content: bytes, findings: Findings) -> Document | None:
    """Return the document, or None with an error."""
    written = text(content, findings)
    if written is None:
        return None
    twice: list[str] = []
    try:
        value = json.loads(
            written,
            object_pairs_hook=lambda pairs: _object(pairs, twice),
            parse_constant=_constant,
            parse_float=_float,
        )
    except json.JSONDecodeError as error:
        findings.error(error.lineno, f"invalid JSON: {one_line(error.msg)} (column {error.colno})", "fix the syntax")
        return None
    except (ValueError, RecursionError) as error:
        findings.error(1, f"cannot be read: {one_line(error)}", "write plain JSON")
        return None
    if written.count("[") + written.count("{") > DEEPEST and (depth := _depth(written)) > DEEPEST:
        findings.error(1, f"is nested {depth} levels deep", f"stay below {DEEPEST}")
        return None
    scan = cache(lambda: _Scan(written))
    for where in scan().repeated if twice else []:
        findings.error(scan().lines[where], f"duplicate key {where[-1]}", "keep one: Packer refuses both")
    if "\\u" in written and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        findings.error(1, "holds half of a surrogate pair (\\ud800 to \\udfff)", "write the character itself")
        return None

    def find_line(where: Where) -> int | None:
        return scan().lines.get(where)

    return Document(value, findings, find_line)


def _object(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice.append("")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _float(text: str) -> float:
    if abs(found := float(text)) > GREATEST:
        raise ValueError(f"{one_line(text, 40)} is too large")
    return found


def _depth(written: str) -> int:
    """How many brackets are open at once."""
    return max(accumulate((token[0] in "[{") - (token[0] in "]}") for token in _TOKEN.findall(written)))


class _Scan:
    """The line of every key and list entry of right JSON, and the places of repeated keys."""

    def __init__(self, written: str) -> None:
        self.breaks = [match.start() for match in _NEWLINE.finditer(written)]
        self.lines: dict[Where, int] = {}
        self.repeated: list[Where] = []
        self.tokens = _TOKEN.finditer(written)
        self.value((), next(self.tokens)[0])

    def value(self, where: Where, token: str) -> None:
        """Walk over the value that begins with ``token``."""
        if token not in "[{":
            return
        for index in count():
            first = next(self.tokens)
            if first[0] in "]}":
                return
            key = index if token == "[" else str(json.loads(first[0]))
            self.note((*where, key), first.start())
            self.value((*where, key), first[0] if token == "[" else next(self.tokens)[0])

    def note(self, where: Where, offset: int) -> None:
        if where in self.lines:
            self.repeated.append(where)
        self.lines[where] = bisect_right(self.breaks, offset) + 1
