"""Terraform's ``.tfvars`` files with positions: names and literal values, nothing else, as Terraform allows there.

Source: HCL native syntax specification, "Body", "Literal values", "Collection values", "Template Expressions"
(heredocs); comments ``#``, ``//``, ``/* */``. Our own since the HCL parsers for Python build a grammar for two seconds
and give no lines.
"""

import json
import re
import textwrap
from dataclasses import dataclass, field
from typing import Any

from bakery.recipe.parse.document import DEEPEST, Document, Where, text
from bakery.recipe.parse.findings import Findings, quoted

_TOKEN = re.compile(
    r"""(?P<skip>[ \t\r\n]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d][\w-]*)|(?P<sign>[=:,\[\]{}])""",
    re.VERBOSE | re.DOTALL,
)
_HEREDOC = re.compile(r"<<(-?)([^\W\d][\w-]*)[ \t]*\r?\n(.*?)^[ \t]*\2(?=[ \t]*\r?$)", re.DOTALL | re.MULTILINE)
_TEMPLATE = re.compile(r"(?<!\$)\$\{[^}]*\}?|(?<!%)%\{[^}]*\}?")
_WORDS = {"true": True, "false": False, "null": None}


class _Wrong(Exception):
    """The syntax is wrong; ``args`` are the line and what was found."""


@dataclass
class _Parser:
    """Reads the tokens (kind, text, line). There is no token for the end of a line."""

    tokens: list[tuple[str, str, int]]
    lines: dict[Where, int] = field(default_factory=dict)
    repeated: list[Where] = field(default_factory=list)
    at: int = 0

    def take(self) -> tuple[str, str, int]:
        """Return the next token; at the end, always the last one."""
        token = self.tokens[self.at]
        self.at += token[0] != "end"
        return token

    def peek(self) -> str:
        return self.tokens[self.at][1]

    def body(self) -> dict[str, Any]:
        made: dict[str, Any] = {}
        end = 0  # the line where the value before ends
        while (token := self.take())[0] != "end":
            kind, name, line = token
            if kind != "name" or line == end or self.take()[1] != "=":
                raise _Wrong(line, name)
            self.note((name,), line)
            made[name] = self.value((name,))
            end = self.tokens[self.at - 1][2]
        return made

    def note(self, where: Where, line: int) -> None:
        if where in self.lines:
            self.repeated.append(where)
        self.lines[where] = line

    def value(self, where: Where) -> Any:
        kind, found, line = self.take()
        if len(where) > DEEPEST:
            raise _Wrong(line, found)
        if kind == "string":
            return _string(found, line)
        if kind == "heredoc":
            return found
        if kind == "number":
            return float(found) if re.search("[.eE]", found) else int(found)
        if found == "[":
            return self.sequence(where)
        if found == "{":
            return self.mapping(where)
        if found in _WORDS:
            return _WORDS[found]
        raise _Wrong(line, found)

    def sequence(self, where: Where) -> list[Any]:
        made: list[Any] = []
        while self.peek() != "]":
            place = (*where, len(made))
            self.lines[place] = self.tokens[self.at][2]
            made.append(self.value(place))
            if self.peek() == ",":
                self.take()
            elif self.peek() != "]":
                _, found, line = self.take()
                raise _Wrong(line, found)
        self.take()
        return made

    def mapping(self, where: Where) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while self.peek() != "}":
            kind, key, line = self.take()
            if kind not in ("name", "string") or self.take()[1] not in ("=", ":"):
                raise _Wrong(line, key)
            key = _string(key, line) if kind == "string" else key
            self.note((*where, key), line)
            made[key] = self.value((*where, key))
            if self.peek() == ",":
                self.take()
        self.take()
        return made


def parse_tfvars(content: bytes, findings: Findings) -> Document | None:
    """Return the document, or None with an error."""
    written = text(content, findings)
    if written is None:
        return None
    try:
        parser = _Parser(_tokens(written))
        value = parser.body()
    except (_Wrong, ValueError, RecursionError) as error:
        line, found = error.args if isinstance(error, _Wrong) else (1, "a value")
        findings.error(line, f"invalid tfvars: unexpected {quoted(found)}", "write name = value with literal values")
        return None
    for where in parser.repeated:
        if len(where) == 1:
            findings.error(parser.lines[where], f"duplicate key {where[-1]}", "keep one: Terraform refuses both")
        else:
            findings.warn(parser.lines[where], f"duplicate key {where[-1]}", "keep one: the last counts")
    return Document(value, findings, parser.lines.get)


def _tokens(written: str) -> list[tuple[str, str, int]]:
    made: list[tuple[str, str, int]] = []
    at, line = 0, 1
    while at < len(written):
        if heredoc := _HEREDOC.match(written, at):
            made.append(("heredoc", _heredoc(heredoc, line), line))
            line += heredoc[0].count("\n")
            at = heredoc.end()
            continue
        match = _TOKEN.match(written, at)
        if match is None:
            raise _Wrong(line, written[at])
        if match.lastgroup != "skip":
            made.append((str(match.lastgroup), match[0], line))
        line += match[0].count("\n")
        at = match.end()
    return [*made, ("end", "end of file", line)]


def _heredoc(match: re.Match[str], line: int) -> str:
    """Return the text of a heredoc; one that begins with ``<<-`` loses the indentation that all its lines share."""
    text = _literal(match[3].replace("\r\n", "\n"), line)
    return textwrap.dedent(text) if match[1] else text


def _literal(text: str, line: int) -> str:
    """Return a text without the escapes of templates. There are no templates: a file of values has no variables."""
    if found := _TEMPLATE.search(text):
        raise _Wrong(line, found[0])
    return text.replace("$${", "${").replace("%%{", "%{")


def _string(written: str, line: int) -> str:
    try:
        return _literal(str(json.loads(written)), line)
    except ValueError as error:
        raise _Wrong(line, written) from error
