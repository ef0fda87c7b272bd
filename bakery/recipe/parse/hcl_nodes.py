"""The syntax tree of HCL2: what :mod:`bakery.recipe.parse.hcl` returns and :mod:`bakery.recipe.hcl2` evaluates.

Names follow the HCL native syntax specification. Every expression has its line and its source text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Expression:
    """``text`` is the source; ``line`` counts from 1."""

    line: int
    text: str


@dataclass(frozen=True)
class Literal(Expression):
    """A string without a template, a number, a boolean or null."""

    value: Scalar


@dataclass(frozen=True)
class Template(Expression):
    """A quoted string or a heredoc: texts, interpolations and directives in file order."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True)
class TemplateIf(Expression):
    """``%{ if }``."""

    condition: Expression
    then: tuple[Expression, ...]
    otherwise: tuple[Expression, ...]


@dataclass(frozen=True)
class TemplateFor(Expression):
    """``%{ for }``. ``key`` is "" without a name for it."""

    key: str
    value: str
    collection: Expression
    body: tuple[Expression, ...]


@dataclass(frozen=True)
class Name(Expression):
    """The first part of a reference: ``var``, ``local``, an iterator."""

    name: str


@dataclass(frozen=True)
class Index(Expression):
    """``base.name`` (a literal key) or ``base[key]``."""

    base: Expression
    key: Expression


@dataclass(frozen=True)
class Splat(Expression):
    """``base[*].rest`` or ``base.*.rest``; ``rest`` is an expression over the name ``*``."""

    base: Expression
    rest: Expression


@dataclass(frozen=True)
class Call(Expression):
    """A function call; ``expand`` if its last argument is followed by ``...``."""

    name: str
    arguments: tuple[Expression, ...]
    expand: bool


@dataclass(frozen=True)
class Operation(Expression):
    """One or two operands."""

    operator: str
    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Conditional(Expression):
    """``condition ? then : otherwise``."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True)
class Tuple(Expression):
    """``[a, b]``."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Object(Expression):
    """``{ key = value }``; a key that is only a name is a literal."""

    items: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True)
class For(Expression):
    """``[for v in c : value]``, or with a ``result_key`` ``{for k, v in c : result_key => value}``."""

    key: str
    value: str
    collection: Expression
    result_key: Expression | None
    result: Expression
    condition: Expression | None
    group: bool


@dataclass(frozen=True)
class Attribute:
    """``name = expression``."""

    name: str
    line: int
    expression: Expression


@dataclass(frozen=True)
class Block:
    """``type "label" { body }``."""

    type: str
    labels: tuple[str, ...]
    line: int
    body: Body


@dataclass(frozen=True)
class Body:
    """Attributes by name, and blocks in file order."""

    attributes: dict[str, Attribute] = field(default_factory=dict)
    blocks: tuple[Block, ...] = ()

    def of(self, *types: str) -> Iterator[Block]:
        """Yield the blocks of these types."""
        return (block for block in self.blocks if block.type in types)
