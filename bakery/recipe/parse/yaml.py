"""YAML with positions, as plain JSON values; the last of duplicate keys counts."""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

import yaml

from bakery.recipe.parse.document import DEEPEST, GREATEST, Document, Where, text
from bakery.recipe.parse.findings import Findings, one_line

try:
    from yaml import CSafeLoader as Loader
except ImportError:  # PyYAML without libyaml: the same, slower
    from yaml import SafeLoader as Loader  # type: ignore[assignment]

MOST = 100_000  # values after aliases are expanded
_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "value", "binary"))
_TYPED = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null"))
_MERGE = "tag:yaml.org,2002:merge"
_typed = yaml.constructor.SafeConstructor()


class _Loader(Loader):
    # Looks at every scalar: recipes say the same few hundred words again and again.
    resolve = staticmethod(lru_cache(4096)(yaml.resolver.Resolver().resolve))
    # Asked at every node for resolvers by path, which recipes do not have.
    descend_resolver = staticmethod(lambda current_node, current_index: None)
    ascend_resolver = staticmethod(lambda: None)


class _Refused(Exception):
    """A document that no recipe needs; ``args`` are line, message and hint."""


def parse_yaml(content: bytes, findings: Findings) -> Document | None:
    """Return the document, or None with an error; an empty file is {}."""
    written = text(content, findings)
    if written is None:
        return None
    try:
        loader = _Loader(written)
        try:
            node = loader.get_single_node()
        finally:
            loader.dispose()
        value = {} if node is None else _Reader(findings).value(node, 0)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or error
        line = min(mark.line + 1, len(written.splitlines())) if mark else 1  # it may point behind the end
        findings.error(line, f"invalid YAML: {one_line(what)}", "fix the syntax")
        return None
    except _Refused as refused:
        line, message, hint = refused.args
        findings.error(line, message, hint)
        return None
    except (RecursionError, ValueError, OverflowError) as error:
        findings.error(1, f"cannot be read: {one_line(error)}", "write plain YAML")
        return None
    return Document(value, findings, partial(_find_line, node), partial(_find_text, node))


class _Reader:
    """Turns composed nodes into values."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.count = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        """Return the node's value. Raises _Refused if it is too deep or too large."""
        self.count += 1
        if self.count > MOST or depth > DEEPEST:  # an alias of itself ends here, too
            raise _Refused(_line(node), "is nested or expanded too far", "write it out without aliases")
        if isinstance(node, yaml.ScalarNode):
            return node.value if node.tag in _PLAIN else _number(node)
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, depth + 1)
        return [self.value(entry, depth + 1) for entry in node.value]

    def mapping(self, node: yaml.MappingNode, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merges = False
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                merges = True
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise _Refused(_line(key_node), "has a key that is a list or mapping", "use plain keys")
            key = key_node.value
            if key in made:
                self.findings.warn(_line(key_node), f"duplicate key {key}", "keep one: the last counts")
            made[key] = self.value(value_node, depth)
        for other in _merged(node) if merges else ():
            if not isinstance(other, yaml.MappingNode):
                raise _Refused(_line(other), "merges a value that is not a mapping", "give << an alias of a mapping")
            made = self.value(other, depth - 1) | made
        return made


def _merged(node: yaml.MappingNode) -> Iterator[yaml.Node]:
    """Yield the mappings that ``<<`` merges into the node; of a key in several, the first counts."""
    for key_node, value_node in node.value:
        if key_node.tag == _MERGE:
            yield from value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]


def _number(node: yaml.ScalarNode) -> Any:
    """Return a number, a boolean or None."""
    if node.tag not in _TYPED:
        raise _Refused(_line(node), f"has the tag {one_line(node.tag, 40)}", "write plain YAML without tags")
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


def _find(node: yaml.Node | None, where: Where) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the nodes of a key (or entry) and of its value in a valid document."""
    found: tuple[yaml.Node, yaml.Node] | None = None
    for part in where:
        found = None if node is None else _step(node, part)
        node = found and found[1]
    return found


def _step(node: yaml.Node, part: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.SequenceNode):
        inside = isinstance(part, int) and part < len(node.value)
        return (node.value[part], node.value[part]) if inside else None
    if not isinstance(node, yaml.MappingNode):
        return None
    for key_node, value_node in reversed(node.value):
        if key_node.value == part and key_node.tag != _MERGE:
            return key_node, value_node
    return next((found for other in _merged(node) if (found := _step(other, part))), None)


def _find_line(node: yaml.Node | None, where: Where) -> int | None:
    found = _find(node, where)
    return found and _line(found[0])


def _find_text(node: yaml.Node | None, where: Where) -> str:
    found = _find(node, where)
    return str(found[1].value) if found else ""
