"""YAML with positions, as plain JSON values; of a key that stands twice the last counts."""

from __future__ import annotations

from typing import Any

import yaml

from bakery.recipe.document import DEEPEST, GREATEST, Document, Where, text
from bakery.recipe.findings import Findings, one_line

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML without libyaml: the same, slower
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

MOST = 100_000  # values after aliases are expanded
_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "value", "binary"))
_TYPED = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null"))
_MERGE = "tag:yaml.org,2002:merge"
_typed = yaml.constructor.SafeConstructor()


class _Refused(Exception):
    """A document that no recipe needs; ``args`` are line, message and hint."""


def read(content: bytes, findings: Findings) -> Document | None:
    """The document, or None with an error; an empty file is {}."""
    written = text(content, findings)
    return None if written is None else parse(written, findings)


def parse(written: str, findings: Findings) -> Document | None:
    """As :func:`read`, of text."""
    reader = _Reader(findings)
    try:
        loader = Loader(written)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        value = {} if node is None else reader.value(node, ())
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        line = min(mark.line + 1, len(written.splitlines())) if mark else 1  # it may point behind the end
        findings.error(line, f"is no YAML: {one_line(what)}", "correct the syntax")
        return None
    except _Refused as refused:
        line, message, hint = refused.args
        findings.error(line, message, hint)
        return None
    except (RecursionError, ValueError, OverflowError) as error:
        findings.error(1, f"can't be read: {one_line(error)}", "write plain YAML")
        return None
    return Document(value, reader.lines, findings, reader.texts)


class _Reader:
    """Turns composed nodes into values and notes where they stand."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.lines: dict[Where, int] = {}
        self.texts: dict[Where, str] = {}
        self.count = 0

    def value(self, node: yaml.Node, where: Where) -> Any:
        """The node's value; raises _Refused when it is too deep or too much."""
        self.count += 1
        if self.count > MOST or len(where) > DEEPEST:  # an alias of itself ends here, too
            raise _Refused(_line(node), "is nested or expanded too far", "write it out without aliases")
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, where)
        if isinstance(node, yaml.SequenceNode):
            return [self.entry(entry, (*where, index)) for index, entry in enumerate(node.value)]
        return self.scalar(node, where)

    def entry(self, node: yaml.Node, where: Where) -> Any:
        self.lines[where] = _line(node)
        return self.value(node, where)

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused(_line(key_node), "has a key that is a list or mapping", "use plain keys")
            place = (*where, key_node.value)
            if key_node.value in made:
                self.findings.warn(_line(key_node), f"{key_node.value} stands twice", "keep one, the last counts")
            self.lines[place] = _line(key_node)
            made[key_node.value] = self.value(value_node, place)
        for other in merged:
            if not isinstance(other, yaml.MappingNode):
                raise _Refused(_line(other), "merges what is no mapping", "give << an alias of a mapping")
            made = self.value(other, where) | made
        return made

    def scalar(self, node: yaml.Node, where: Where) -> Any:
        written: str = node.value
        if node.tag in _PLAIN:
            return written
        if node.tag not in _TYPED:
            raise _Refused(_line(node), f"has the tag {one_line(node.tag, 40)}", "write plain YAML without tags")
        self.texts[where] = written
        try:
            found = _typed.construct_object(node)
        except (ValueError, KeyError, IndexError) as error:
            raise _strange(node) from error
        finally:
            _typed.constructed_objects.clear()
        if isinstance(found, (int, float)) and not abs(found) <= GREATEST:  # no number, or endless
            raise _strange(node)
        return found


def _strange(node: yaml.Node) -> _Refused:
    return _Refused(_line(node), f"holds {one_line(node.value, 40)}", "put it in quotes")


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
