"""``*.pkr.json``: HCL's JSON syntax as the same syntax tree.

Source: HCL JSON syntax specification. What is a block and what an attribute follows from Packer's schema; in the
configuration of a plugin everything is an attribute, which gives the same template.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bakery.recipe.parse import Document, Where
from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.hcl import parse_expression, parse_template

# The number of labels of the blocks at the top of a file and in a build; "" stands for the configuration of a plugin.
_TOP = {"packer": 0, "variable": 1, "variables": 0, "local": 1, "locals": 0, "data": 2, "source": 2, "build": 0}
_IN_BUILD = {
    **{"source": 1, "provisioner": 1, "error-cleanup-provisioner": 1, "post-processor": 1, "post-processors": 0},
    **{"dynamic": 1, "hcp_packer_registry": 0},
}
_INNER: dict[str, dict[str, int]] = {
    "packer": {"required_plugins": 0},
    "variable": {"validation": 0},
    "build": _IN_BUILD,
    "post-processors": {"post-processor": 1},
    "dynamic": {"content": 0},
}
_PLUGIN = {"dynamic": 1}


def parse_json_body(document: Document) -> nodes.Body:
    """Return the syntax tree of a parsed file; anything but a template is an error in the document's findings."""
    return _Reader(document).body(document.value, (), _TOP, "")


class _Reader:
    def __init__(self, document: Document) -> None:
        self.document = document

    def body(self, value: dict[str, Any], where: Where, blocks: dict[str, int], inside: str) -> nodes.Body:
        attributes: dict[str, nodes.Attribute] = {}
        made: list[nodes.Block] = []
        for key, entry in value.items():
            place = (*where, key)
            if key == "//" or (not where and key.startswith("_")):
                continue  # a comment
            if key in blocks:
                made += self.blocks(key, entry, place, blocks[key], ())
            else:
                kind = inside == "variable" and key == "type"
                attributes[key] = nodes.Attribute(key, self.document.line(*place), self.expression(entry, place, kind))
        return nodes.Body(attributes, tuple(made))

    def blocks(self, kind: str, value: Any, where: Where, labels: int, given: tuple[str, ...]) -> Iterator[nodes.Block]:
        """Yield the blocks of one type: objects for each label, and a list for several blocks."""
        if isinstance(value, list):
            for index, entry in enumerate(value):
                yield from self.blocks(kind, entry, (*where, index), labels, given)
        elif not isinstance(value, dict):
            self.document.error(f"{kind} is not an object", "write an object", *where)
        elif labels:
            for label, entry in value.items():
                yield from self.blocks(kind, entry, (*where, label), labels - 1, (*given, label))
        else:
            inner = _INNER.get(kind, _PLUGIN)
            yield nodes.Block(kind, given, self.document.line(*where), self.body(value, where, inner, kind))

    def expression(self, value: Any, where: Where, whole: bool = False) -> nodes.Expression:
        """Return a value as an expression; every string is a template, or with ``whole`` an expression."""
        line = self.document.line(*where)
        if isinstance(value, list):
            return nodes.Tuple(line, "", tuple(self.expression(one, (*where, n)) for n, one in enumerate(value)))
        if isinstance(value, dict):
            pairs = ((self.text(key, where), self.expression(entry, (*where, key))) for key, entry in value.items())
            return nodes.Object(line, "", tuple(pairs))
        if isinstance(value, float) and value.is_integer():
            return nodes.Literal(line, "", int(value))  # 1.0 and 1e3 are whole numbers
        if not isinstance(value, str):
            return nodes.Literal(line, "", value)
        return (parse_expression(value, line) if whole else None) or self.text(value, where)

    def text(self, value: str, where: Where) -> nodes.Expression:
        line = self.document.line(*where)
        found = parse_template(value, line)
        if found is None:
            self.document.error("invalid HCL in a string", "fix its ${}; write $${ for ${", *where)
        return found or nodes.Literal(line, value, value)
