"""The texts and numbers of HCL's templates: escapes, ``~`` markers and the indentation of ``<<-`` heredocs.

Sources: HCL native syntax specification, "Templates"; hclsyntax/parser_template.go, which works line by line; go-cty's
``ParseNumberVal``.
"""

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal, InvalidOperation

from bakery.recipe.parse import hcl_nodes as nodes

_ESCAPE = re.compile(r'\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([nrt"\\]))|([$%])\4\{')
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_DOUBLED = re.compile(r"([$%])\1\{")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
LONGEST_NUMBER = 300  # digits
_LAST_CODE_POINT = 0x10FFFF


def unescape(written: str) -> str:
    """Return the value of what is between quotes: ``\\n``, ``$${`` and the other escapes filled in."""

    def value(match: re.Match[str]) -> str:
        if code := match[1] or match[2]:
            number = int(code, 16)
            return (
                "\N{REPLACEMENT CHARACTER}" if number > _LAST_CODE_POINT or 0xD800 <= number < 0xE000 else chr(number)
            )
        return _ESCAPES[match[3]] if match[3] else f"{match[4]}{{"

    return _ESCAPE.sub(value, written)


def to_number(written: str) -> float | None:
    """Return the number that a literal or a text means; None if Python would round it. Raises ValueError."""
    if not _NUMBER.fullmatch(written) or len(written) > LONGEST_NUMBER:
        raise ValueError(written)
    try:
        exact = Decimal(written)
    except InvalidOperation:  # an endless exponent
        raise ValueError(written) from None
    if abs(exact.adjusted()) > LONGEST_NUMBER:
        raise ValueError(written)
    if exact == exact.to_integral_value():
        return int(exact)
    return float(exact) if Decimal(repr(float(exact))) == exact else None


def literals(written: str, line: int, *, quotes: bool, strip_first: bool, strip_last: bool) -> Iterator[nodes.Literal]:
    """Yield a text as literals, one for each line; ``~`` before or after it takes the blanks of the nearest line."""
    parts = _LINE.findall(written)
    for index, part in enumerate(parts):
        value = unescape(part) if quotes else _DOUBLED.sub(r"\1{", part)
        value = value.lstrip() if strip_first and index == 0 else value
        value = value.rstrip() if strip_last and index == len(parts) - 1 else value
        yield nodes.Literal(line, part, value)


def without_indent(parts: Sequence[nodes.Expression]) -> tuple[nodes.Expression, ...]:
    """Return the parts of ``<<-`` without the blanks that all lines begin with; blank lines don't count."""
    begins, least = True, None
    firsts: set[int] = set()
    for part in _flat(parts):
        value = part.value if isinstance(part, nodes.Literal) and isinstance(part.value, str) else None
        if begins and not (value is not None and value.endswith("\n") and not value.strip()):
            indent = len(value) - len(value.lstrip()) if value else 0
            least = indent if least is None else min(least, indent)
            firsts.add(id(part))
        begins = value is not None and value.endswith("\n")
    return _cut(parts, firsts, least or 0)


def _flat(parts: Sequence[nodes.Expression]) -> Iterator[nodes.Expression | None]:
    """Yield literals and interpolations in file order; None stands for the head of a directive."""
    for part in parts:
        if isinstance(part, nodes.TemplateIf):
            yield from (None, *_flat(part.then), None, *_flat(part.otherwise))
            yield from (None,) if part.otherwise else ()
        elif isinstance(part, nodes.TemplateFor):
            yield from (None, *_flat(part.body), None)
        else:
            yield part


def _cut(parts: Sequence[nodes.Expression], firsts: set[int], indent: int) -> tuple[nodes.Expression, ...]:
    made: list[nodes.Expression] = []
    for part in parts:
        match part:
            case nodes.Literal(line, text, str(value)) if id(part) in firsts:
                made.append(nodes.Literal(line, text, value[indent:]))
            case nodes.TemplateIf(line, text, condition, then, otherwise):
                both = (_cut(then, firsts, indent), _cut(otherwise, firsts, indent))
                made.append(nodes.TemplateIf(line, text, condition, *both))
            case nodes.TemplateFor(line, text, key, value, collection, body):
                made.append(nodes.TemplateFor(line, text, key, value, collection, _cut(body, firsts, indent)))
            case _:
                made.append(part)
    return tuple(made)
