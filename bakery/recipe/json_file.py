"""JSON with positions: values from the standard parser, lines from a scan of the same text.

The scan only runs over text that the parser has taken, so it has to know places, not errors.
"""

from __future__ import annotations

import json
import re
from typing import Any

from bakery.recipe.document import DEEPEST, Document, Where, text
from bakery.recipe.findings import Findings, one_line

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},]|[^\s"\[\]{},:]+', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def read(content: bytes, findings: Findings) -> Document | None:
    """The document, or None with an error."""
    written = text(content, findings)
    if written is None:
        return None
    twice: list[str] = []
    try:
        value = json.loads(written, object_pairs_hook=lambda pairs: _object(pairs, twice), parse_constant=_constant)
    except json.JSONDecodeError as error:
        findings.error(error.lineno, f"is no JSON: {one_line(error.msg)} (column {error.colno})", "correct the syntax")
        return None
    except (ValueError, RecursionError) as error:
        findings.error(1, f"can't be read: {one_line(error)}", "write plain JSON")
        return None
    lines, repeated, depth = _scan(written)
    if depth > DEEPEST:
        findings.error(1, f"is nested {depth} levels deep", f"stay below {DEEPEST}")
        return None
    for where in repeated if twice else []:
        findings.warn(lines[where], f"{where[-1]} stands twice", "keep one, the last counts")
    if "\\u" in written and _SURROGATE.search(json.dumps(value, ensure_ascii=False)):
        findings.error(1, "holds half of a surrogate pair (\\ud800 to \\udfff)", "write the character itself")
        return None
    return Document(value, lines, findings)


def _object(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        twice.append("")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _scan(written: str) -> tuple[dict[Where, int], list[Where], int]:
    """The line of every key and list entry, the places of repeated keys, and how deep it goes."""
    lines: dict[Where, int] = {}
    repeated: list[Where] = []
    open_: list[Where] = []  # the place that each open bracket stands for
    counts: list[int] = []  # entries so far of each open bracket; -1 counts for an object
    key: str | None = None
    line, last, depth = 1, 0, 0
    for match in _TOKEN.finditer(written):
        line += written.count("\n", last, match.start())
        last = match.start()
        token = match[0]
        if token in "]}":
            open_.pop()
            counts.pop()
            key = None
            continue
        if token == ",":
            key = None
            continue
        where: Where = ()
        if open_:
            if counts[-1] < 0 and key is None:  # a key: its value is the next token
                key = json.loads(token)
                where = (*open_[-1], key)
                if where in lines:
                    repeated.append(where)
                lines[where] = line
                continue
            if counts[-1] < 0:
                where = (*open_[-1], key or "")
            else:
                where = (*open_[-1], counts[-1])
                counts[-1] += 1
                lines[where] = line
        if token in "[{":
            open_.append(where)
            counts.append(0 if token == "[" else -1)
            depth = max(depth, len(open_))
            key = None
    return lines, repeated, depth
