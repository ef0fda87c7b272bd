"""HCL2 with positions: the syntax tree of a file, and every syntax error with its line.

tree-sitter with its HCL grammar does the parsing; docs/recipe.md says why. It accepts a little more than HCL, so this
module also refuses what HCL refuses: two items on a line, a duplicate attribute, a line end in a quoted string.
Source: HCL native syntax specification. tree-sitter is imported only when a file is parsed.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.document import DEEPEST, text
from bakery.recipe.parse.findings import Findings, quoted
from bakery.recipe.parse.hcl_expressions import ExpressionReader, Refused, named, source_text
from bakery.recipe.parse.hcl_text import unescape

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

# Names, which may have dashes, and whole numbers with an exponent.
_EXPONENT = re.compile(r"[^\W\d][\w-]*|(?<![\w.])(?P<whole>[0-9]+)(?=[eE][+-]?[0-9])")
# Three signs, or more of an odd number, in which tree-sitter sees the begin of an expression, but HCL an escaped one.
_ESCAPED = re.compile(r"(?<!\$)(\$)((?:\$\$)+)\{|(?<!%)(%)((?:%%)+)\{")
NODES_PER_LEVEL = 5  # of tree-sitter's tree, for a level of nesting


@cache
def _parser() -> Parser:
    import tree_sitter
    import tree_sitter_hcl

    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_hcl.language()))


def parse_hcl(content: bytes, findings: Findings, line: int | None = None) -> nodes.Body | None:
    """Return the syntax tree of a file, or None with an error; with ``line``, everything is in that line."""
    written = text(content, findings)
    if written is None:
        return None
    written = _ESCAPED.sub(lambda match: f'${{"{match[1] or match[3]}"}}{match[2] or match[4]}{{', written)
    root = _parser().parse(written.encode()).root_node
    if root.has_error:
        root = _with_exponents(written) or root
    if root.has_error:
        at, message = _fault(root, written)
        findings.error(line or at, f"invalid HCL: {message}", "fix the syntax")
        return None
    if (depth := _depth(root) // NODES_PER_LEVEL) > DEEPEST:
        findings.error(line or 1, f"is nested {depth} levels deep", f"stay below {DEEPEST}")
        return None
    body = next((child for child in root.children if child.type == "body"), None)
    try:
        return _BodyReader(findings, line).body(body) if body else nodes.Body()
    except RecursionError:
        findings.error(line or 1, "is nested too deeply", f"stay below {DEEPEST} levels")
        return None


def parse_expression(written: str, line: int) -> nodes.Expression | None:
    """Return the expression that a text in this line consists of, or None if it is not one."""
    findings = Findings()
    body = parse_hcl(f"_ = {written}\n".encode(), findings, line)
    alone = body is not None and not findings.problems and len(body.attributes) == 1 and not body.blocks
    return body.attributes["_"].expression if body and alone else None


def parse_template(written: str, line: int) -> nodes.Expression | None:
    """Return a text with ``${}`` as an expression (a string of HCL's JSON syntax, a templatefile), or None."""
    if "${" not in written and "%{" not in written:
        return nodes.Literal(line, written, written)
    end = "END"
    while end in written:
        end += "_"
    found = parse_expression(f"<<{end}\n{written}\n{end}", line)
    if not isinstance(found, nodes.Template):
        return None
    *parts, last = found.parts
    assert isinstance(last, nodes.Literal) and isinstance(last.value, str)  # it ends with the line end added above
    kept = parts if last.value == "\n" else [*parts, nodes.Literal(line, last.text, last.value[:-1])]
    return nodes.Template(line, written, tuple(kept))


def _with_exponents(written: str) -> Node | None:
    """Return the tree of a file that tree-sitter refuses for whole numbers with an exponent, as ``1.0e3`` for ``1e3``.

    Such a text elsewhere (in strings, comments, names) stays as it is.
    """
    places = [match.end() for match in _EXPONENT.finditer(written) if match["whole"]]
    for _ in range(2):
        if not places:
            break
        bounds = [0, *places, len(written)]
        parts = [written[begin:end].encode() for begin, end in pairwise(bounds)]
        root = _parser().parse(b".0".join(parts)).root_node
        ends = accumulate(len(part) + 2 for part in parts[:-1])
        numbers = [root.descendant_for_byte_range(end - 1, end) for end in ends]
        right = [place for place, one in zip(places, numbers, strict=True) if one and one.type == "numeric_lit"]
        if right == places:
            return root
        places = right
    return None


def _depth(root: Node) -> int:
    deepest, level, cursor = 0, 0, root.walk()
    while True:
        if cursor.goto_first_child():
            level += 1
            deepest = max(deepest, level)
            continue
        while not cursor.goto_next_sibling():
            if not cursor.goto_parent():
                return deepest
            level -= 1


def _fault(root: Node, written: str) -> tuple[int, str]:
    """Return the line of the first syntax error and what is wrong."""
    node = root
    while not (node.is_missing or node.is_error):
        inner = next((child for child in node.children if child.has_error or child.is_missing), None)
        if inner is None:
            break
        node = inner
    if node.is_missing:
        opened = node
        while opened.parent is not None and opened.start_byte == node.start_byte:
            opened = opened.parent
        return opened.start_point[0] + 1, f"missing {quoted(node.type)}"
    last = node.children[-1] if node.children else node
    row = last.start_point[0]
    words = source_text(last).split() or [*written.split("\n"), ""][row : row + 1]
    return row + 1, f"unexpected {quoted(words[0].strip(), 40)}"


class _BodyReader:
    """Turns tree-sitter's bodies into ours, and reports what HCL refuses."""

    def __init__(self, findings: Findings, line: int | None) -> None:
        self.findings = findings
        self.expressions = ExpressionReader(line)

    def body(self, body: Node) -> nodes.Body:
        attributes: dict[str, nodes.Attribute] = {}
        blocks = []
        end = -1
        for item in named(body):
            line = self.expressions.line(item)
            if item.start_point[0] == end:
                self.findings.error(line, "two items on one line", "begin each on its own line")
            end = item.end_point[0]
            if item.type == "block":
                blocks.append(self.block(item, line))
                continue
            name = source_text(item.children[0])
            if name in attributes:
                hint = f"remove one; line {attributes[name].line} sets it, too"
                self.findings.error(line, f"duplicate attribute {name}", hint)
                continue
            try:
                attributes[name] = nodes.Attribute(name, line, self.expressions.expression(named(item)[-1]))
            except Refused as refused:
                self.findings.error(*refused.args)
        return nodes.Body(attributes, tuple(blocks))

    def block(self, block: Node, line: int) -> nodes.Block:
        kind, *rest = named(block)
        labels = [_label(child) for child in rest if child.type in ("string_lit", "identifier")]
        inner = next((child for child in rest if child.type == "body"), None)
        return nodes.Block(source_text(kind), tuple(labels), line, self.body(inner) if inner else nodes.Body())


def _label(node: Node) -> str:
    return unescape(source_text(node)[1:-1]) if node.type == "string_lit" else source_text(node)
