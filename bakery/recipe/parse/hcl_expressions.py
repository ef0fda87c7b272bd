"""Turns tree-sitter's nodes of HCL expressions into :mod:`bakery.recipe.parse.hcl_nodes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from bakery.recipe.parse import hcl_nodes as nodes
from bakery.recipe.parse.findings import quoted
from bakery.recipe.parse.hcl_text import literals, to_number, unescape, without_indent

if TYPE_CHECKING:
    from tree_sitter import Node

_SEQUENCES = ("template_interpolation", "template_directive")
_MANY_LINES = "a quoted string has more than one line", "write \\n, or a heredoc"


class Refused(Exception):
    """HCL refuses what tree-sitter accepts; ``args`` are the line, what is wrong and the hint."""


def source_text(node: Node) -> str:
    """Return the source of a node."""
    return (node.text or b"").decode(errors="replace")


def named(node: Node) -> list[Node]:
    """Return the children without signs and comments."""
    return [child for child in node.named_children if child.type != "comment"]


class ExpressionReader:
    """Turns expressions into ours. With a ``fixed`` line everything is in that line."""

    def __init__(self, fixed: int | None) -> None:
        self.fixed = fixed

    def line(self, node: Node) -> int:
        """Return the line where a node begins."""
        return self.fixed or node.start_point[0] + 1

    def expression(self, node: Node) -> nodes.Expression:
        """Return an ``expression`` node, which wraps the parts of one term. Raises Refused."""
        return self._term(named(node), node)

    def _term(self, parts: Sequence[Node], whole: Node) -> nodes.Expression:
        """Return a value with the attributes, indices and splats that follow it."""
        made = self._plain(parts[0])
        for part in parts[1:]:
            made = self._follow(made, part, source_text(whole))
        return made

    def _follow(self, base: nodes.Expression, part: Node, text: str) -> nodes.Expression:
        line, inner = self.line(part), named(part)[0]
        if part.type == "get_attr":
            name = source_text(inner)
            return nodes.Index(line, text, base, nodes.Literal(line, name, name))
        if part.type == "index":
            if inner.type == "legacy_index":
                return nodes.Index(line, text, base, self._number(inner, source_text(inner)[1:]))
            return nodes.Index(line, text, base, self.expression(named(inner)[0]))
        rest: nodes.Expression = nodes.Name(line, "*", "*")
        steps = named(inner)
        indices = (at for at, one in enumerate(steps) if named(one)[0].type == "new_index")
        end = next(indices, len(steps)) if inner.type == "attr_splat" else len(steps)  # there [0] is of the whole list
        for step in steps[:end]:
            rest = self._follow(rest, step, text)
        made: nodes.Expression = nodes.Splat(line, text, base, rest)
        for step in steps[end:]:
            made = self._follow(made, step, text)
        return made

    def _plain(self, node: Node) -> nodes.Expression:
        inner = named(node)
        readers: dict[str, Callable[[], nodes.Expression]] = {
            "expression": lambda: self.expression(node),
            "variable_expr": lambda: nodes.Name(self.line(node), source_text(node), source_text(node)),
            "literal_value": lambda: self._literal(inner[0]),
            "template_expr": lambda: self._template(inner[0]),
            "collection_value": lambda: self._collection(inner[0]),
            "function_call": lambda: self._call(node),
            "operation": lambda: self._operation(inner[0]),
            "conditional": lambda: self._conditional(node),
            "for_expr": lambda: self._for(inner[0]),
        }
        if node.type not in readers:
            message = f"invalid HCL: unexpected {quoted(source_text(node), 30)}"
            raise Refused(self.line(node), message, "fix the syntax")
        return readers[node.type]()

    def _conditional(self, node: Node) -> nodes.Expression:
        condition, then, otherwise = (self.expression(child) for child in named(node))
        return nodes.Conditional(self.line(node), source_text(node), condition, then, otherwise)

    def _literal(self, node: Node) -> nodes.Expression:
        line, text = self.line(node), source_text(node)
        if node.type == "string_lit":
            if "\n" in text:
                raise Refused(line, *_MANY_LINES)
            return nodes.Literal(line, text, unescape(text[1:-1]))
        if node.type == "numeric_lit":
            return self._number(node, text)
        return nodes.Literal(line, text, {"true": True, "false": False}.get(text))

    def _number(self, node: Node, text: str) -> nodes.Expression:
        line = self.line(node)
        try:
            value = to_number(text)
        except ValueError:
            raise Refused(line, f"{quoted(text, 30)} is not a number", "write a decimal number") from None
        if value is None:
            hint = "write it as a text: Packer converts it"
            raise Refused(line, f"{quoted(text, 30)} has more digits than the plan can follow", hint)
        return nodes.Literal(line, text, value)

    def _template(self, node: Node) -> nodes.Expression:
        source = node.text or b""
        quotes = node.type == "quoted_template"
        first = 1 if quotes else source.index(b"\n") + 1
        last = len(source) - 1 if quotes else source.rindex(b"\n") + 1
        begin = node.start_byte
        sequences = [child for child in named(node) if child.type in _SEQUENCES]
        parts = tuple(self._parts(sequences, _Source(source, begin, quotes), (begin + first, begin + last)))
        if quotes and any(isinstance(part, nodes.Literal) and "\n" in part.text for part in parts):
            raise Refused(self.line(node), *_MANY_LINES)
        if source.startswith(b"<<-"):
            parts = without_indent(parts)
        return nodes.Template(self.line(node), source_text(node), parts)

    def _parts(
        self,
        sequences: Sequence[Node],
        source: _Source,
        span: tuple[int, int],
        strips: tuple[bool, bool] = (False, False),
    ) -> Iterator[nodes.Expression]:
        """Yield the texts, interpolations and directives of a span of the file.

        The texts are what is between the sequences, since tree-sitter leaves blanks out. ``strips`` says whether ``~``
        precedes the first and follows the last text.
        """
        (begin, end), (strip, last) = span, strips
        line = self.line(sequences[0]) if sequences else self.fixed or 1
        for sequence in sequences:
            opens, closes = _strips(sequence)
            yield from source.literals(begin, sequence.start_byte, self.line(sequence), strip, opens)
            begin, strip, line = sequence.end_byte, closes, self.line(sequence)
            if sequence.type == "template_directive":
                yield self._directive(named(sequence)[0], source)
                continue
            inner = [child for child in named(sequence) if child.type == "expression"]
            if not inner:
                raise Refused(line, "an empty ${}", "write an expression")
            yield self.expression(inner[0])
        yield from source.literals(begin, end, line, strip, last)

    def _directive(self, node: Node, source: _Source) -> nodes.Expression:
        line, text, children = self.line(node), source_text(node), named(node)
        heads = [child for child in children if child.type.endswith(("_intro", "_start", "_end"))]
        bodies = []
        for one, other in pairwise(heads):
            inner = [
                child
                for child in children
                if child.type in _SEQUENCES and one.end_byte <= child.start_byte < other.start_byte
            ]
            strips = _strips(one)[1], _strips(other)[0]
            bodies.append(tuple(self._parts(inner, source, (one.end_byte, other.start_byte), strips)))
        parts = named(heads[0])
        expression = next(self.expression(child) for child in parts if child.type == "expression")
        if node.type == "template_if":
            return nodes.TemplateIf(line, text, expression, bodies[0], bodies[1] if len(bodies) > 1 else ())
        key, value = _two_names(parts)
        return nodes.TemplateFor(line, text, key, value, expression, bodies[0])

    def _collection(self, node: Node) -> nodes.Expression:
        line, text = self.line(node), source_text(node)
        if node.type == "tuple":
            items = tuple(self.expression(child) for child in named(node) if child.type == "expression")
            return nodes.Tuple(line, text, items)
        pairs = [
            [child for child in named(element) if child.type == "expression"]
            for element in named(node)
            if element.type == "object_elem"
        ]
        return nodes.Object(line, text, tuple((self._key(key), self.expression(value)) for key, value in pairs))

    def _key(self, node: Node) -> nodes.Expression:
        """Return a key of an object; a word that is not in parentheses is a text."""
        text = source_text(node)
        word = text.replace("-", "_").isidentifier()
        if not word and named(node)[0].type == "variable_expr":
            raise Refused(self.line(node), f"{quoted(text, 40)} is not a key of an object", f"write ({text[:40]})")
        return nodes.Literal(self.line(node), text, text) if word else self.expression(node)

    def _call(self, node: Node) -> nodes.Expression:
        parts = named(node)
        arguments = named(parts[-1]) if parts[-1].type == "function_arguments" else []
        expand = bool(arguments) and arguments[-1].type == "ellipsis"
        made = tuple(self.expression(child) for child in arguments if child.type == "expression")
        text = source_text(node)
        return nodes.Call(self.line(node), text, text.partition("(")[0].strip(), made, expand)

    def _operation(self, node: Node) -> nodes.Expression:
        line, text, parts = self.line(node), source_text(node), named(node)
        if node.type == "unary_operation":
            return nodes.Operation(line, text, text[0], (self._term(parts, node),))
        sign = next(child for child in node.children if not child.is_named and child.type not in ("(", ")"))
        left = [child for child in parts if child.end_byte <= sign.start_byte]
        right = [child for child in parts if child.start_byte >= sign.end_byte]
        return nodes.Operation(line, text, sign.type, (self._term(left, node), self._term(right, node)))

    def _for(self, node: Node) -> nodes.Expression:
        parts = named(node)
        intro = next(child for child in parts if child.type == "for_intro")
        condition = next((child for child in parts if child.type == "for_cond"), None)
        key, value = _two_names(named(intro))
        results = [self.expression(child) for child in parts if child.type == "expression"]
        return nodes.For(
            line=self.line(node),
            text=source_text(node),
            key=key,
            value=value,
            collection=self.expression(named(intro)[-1]),
            result_key=results[0] if node.type == "for_object_expr" else None,
            result=results[-1],
            condition=self.expression(named(condition)[-1]) if condition else None,
            group=any(child.type == "ellipsis" for child in parts),
        )


class _Source:
    """The bytes of a template, which begin at ``offset`` of the file."""

    def __init__(self, content: bytes, offset: int, quotes: bool) -> None:
        self.content = content
        self.offset = offset
        self.quotes = quotes

    def literals(
        self, begin: int, end: int, line: int, strip_first: bool, strip_last: bool
    ) -> Iterator[nodes.Expression]:
        written = self.content[begin - self.offset : end - self.offset].decode()
        return literals(written, line, quotes=self.quotes, strip_first=strip_first, strip_last=strip_last)


def _two_names(parts: Sequence[Node]) -> tuple[str, str]:
    """Return the names of key ("" without one) and value."""
    names = [source_text(child) for child in parts if child.type == "identifier"]
    return (names[0] if len(names) > 1 else "", names[-1])


def _strips(node: Node) -> tuple[bool, bool]:
    """Whether ``~`` takes the blanks before and after an interpolation or the directive's first and last head."""
    text = source_text(node)
    return text[2:3] == "~", text[-2:-1] == "~"
