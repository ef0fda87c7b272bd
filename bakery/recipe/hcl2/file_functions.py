"""Packer's functions that read a file of the workspace."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bakery.recipe.hcl2.values import Invalid, Value, described
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.hcl import parse_template


@dataclass(frozen=True)
class PendingTemplate:
    """A template that is still to be evaluated with these values."""

    template: nodes.Expression
    values: Mapping[str, Value]


def _content(path: str, content: bytes | None, line: int) -> bytes:
    if content is None:
        raise Invalid(line, f"{described(path)} does not exist", "add the file, or fix the path")
    return content


def _text(path: str, content: bytes | None, line: int) -> str:
    try:
        return _content(path, content, line).decode()
    except UnicodeDecodeError:
        raise Invalid(line, f"{described(path)} is not UTF-8", "use filebase64") from None


def _template(path: str, content: bytes | None, rest: list[Value], line: int) -> PendingTemplate:
    values = rest[0] if len(rest) == 1 else None
    if not isinstance(values, dict):
        raise Invalid(line, "templatefile needs a path and an object", "write templatefile(path, {name = value})")
    template = parse_template(_text(path, content, line), line)
    if template is None:
        raise Invalid(line, f"{described(path)} is not a template", "fix its ${}; write $${ for ${")
    return PendingTemplate(template, values)


# Each takes the path, the content (None if there is no such file), the other arguments and the line.
FILE_FUNCTIONS: Mapping[str, Callable[[str, bytes | None, list[Value], int], Value]] = {
    "file": lambda path, content, _, line: _text(path, content, line),
    "filebase64": lambda path, content, _, line: base64.b64encode(_content(path, content, line)).decode(),
    "fileexists": lambda _path, content, _, _line: content is not None,
    "templatefile": _template,
}
