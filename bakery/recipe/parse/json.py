"""JSON with positions: values from the standard parser, lines from a scan of the same text.

The scan only runs over text that the parser has taken, so it has to know places, not errors; and only when a line is
asked for.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from functools import cache
from typing import Any

from bakery.recipe.parse.document import DEEPEST, GREATEST, Document, Where, text
from bakery.recipe.parse.findings import Findings, one_line

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]|[^\s"\[\]{},:]+', re.DOTALL)
_NEWLINE = re.compile("\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json(content: bytes, findings: Findings) -> Document | None:
    """The document, or None with an error."""
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
    scan = cache(lambda: _scan(written))
    if written.count("[") + written.count("{") > DEEPEST and scan().depth > DEEPEST:
        findings.error(1, f"is nested {scan().depth} levels deep", f"stay below {DEEPEST}")
        return None
    for where in scan().repeated if twice else []:
        findings.warn(scan().lines[where], f"duplicate key {where[-1]}", "keep one: the last counts")
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


def _scan(written: str) -> _Scan:
    scan = _Scan([match.start() for match in _NEWLINE.finditer(written)])
    for match in _TOKEN.finditer(written):
        scan.token(match[0], match.start())
    return scan


class _Scan:
    """The line of every key and list entry, the places of repeated keys, and how deep it goes.

    Takes the tokens of right JSON one after another. ``breaks`` are the offsets of the ends of lines.
    """

    def __init__(self, breaks: list[int]) -> None:
        self.breaks = breaks
        self.lines: dict[Where, int] = {}
        self.repeated: list[Where] = []
        self.depth = 0
        self.open: list[tuple[Where, bool]] = []  # what each open bracket stands for, and whether it is an object
        self.counts: list[int] = []  # entries so far of each open bracket
        self.key: str | None = None

    def token(self, token: str, offset: int) -> None:
        if token == ",":
            self.key = None
        elif token in "]}":
            self.open.pop()
            self.counts.pop()
            self.key = None
        elif self.open and self.open[-1][1] and self.key is None:
            self.key = json.loads(token) if "\\" in token else token[1:-1]
            self.note((*self.open[-1][0], self.key), offset)
        else:
            self.value(token, offset)

    def value(self, token: str, offset: int) -> None:
        where: Where = ()
        if self.open:
            around, is_object = self.open[-1]
            where = (*around, self.key or "" if is_object else self.counts[-1])
            if not is_object:
                self.counts[-1] += 1
                self.note(where, offset)
        if token in "[{":
            self.open.append((where, token == "{"))
            self.counts.append(0)
            self.depth = max(self.depth, len(self.open))
            self.key = None

    def note(self, where: Where, offset: int) -> None:
        if where in self.lines:
            self.repeated.append(where)
        self.lines[where] = bisect_right(self.breaks, offset) + 1
