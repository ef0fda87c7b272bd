"""Evaluates HCL2's expressions as Packer does; variables that only fill in texts stay references.

What can't be followed exactly (a function that asks for the time, a data source) stays as its source, which Packer
evaluates in the bake: :class:`bakery.recipe.hcl2.values.Unfollowed`. Source: HCL native syntax specification.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any
from unicodedata import normalize

from bakery.recipe.hcl2.file_functions import FILE_FUNCTIONS, SEARCHES, Files, PendingTemplate
from bakery.recipe.hcl2.functions import FUNCTIONS, LAZY, UNKNOWN
from bakery.recipe.hcl2.operators import element, operate
from bakery.recipe.hcl2.unify import chosen_side
from bakery.recipe.hcl2.values import (
    ROOT,
    Invalid,
    NotFollowed,
    Outside,
    Set,
    Unfollowed,
    Value,
    Variable,
    described,
    to_bool,
    to_text,
)
from bakery.recipe.hcl2.variables import Variables, is_iterator
from bakery.recipe.parse import hcl_nodes as nodes

Bound = Mapping[str, Value]  # iterators, and the names that only a block has
_FOREIGN = re.compile(r"\{\{-?\s*user\b")


@dataclass
class Evaluator(Variables):
    """Evaluates expressions over variables, locals, data sources and files.

    ``locals`` are expressions with their files; ``read`` returns a file of the workspace, or None if there is none.
    ``files`` collects those that Packer has to read in the bake. ``wrong`` says that variables have no values, which
    has been reported: what depends on them is not reported again.
    """

    locals: Mapping[str, tuple[str, nodes.Attribute]]
    data: frozenset[tuple[str, str]]
    files: Files | None
    done: dict[str, Value] = field(default_factory=dict)  # locals by name
    pending: list[str] = field(default_factory=list)
    left: set[str] = field(default_factory=set)
    wrong: bool = False

    def evaluate(self, expression: nodes.Expression, bound: Bound) -> Value:
        """Return the value; one that can't be followed as its source. Raises Invalid, or NotFollowed inside a loop."""
        try:
            return self._evaluate(expression, bound)
        except NotFollowed as left:
            self.left.update(left.args)
            if any(is_iterator(name, value, expression.text) for name, value in bound.items()):
                raise
            return Unfollowed(expression.text)

    def _evaluate(self, expression: nodes.Expression, bound: Bound) -> Value:
        method: Callable[[Any, Bound], Value] = getattr(self, _METHODS[type(expression)])
        return method(expression, bound)

    def literal(self, expression: nodes.Literal, _: Bound) -> Value:
        """Return a literal."""
        if isinstance(expression.value, str) and _FOREIGN.search(expression.value):
            raise Invalid(expression.line, "HCL2 does not know {{user}}", "write ${var.NAME}")
        return normalize("NFC", expression.value) if isinstance(expression.value, str) else expression.value

    def template(self, expression: nodes.Template, bound: Bound) -> Value:
        """Return a text, or the value of the only interpolation."""
        parts = expression.parts
        if len(parts) == 1 and not isinstance(parts[0], (nodes.TemplateIf, nodes.TemplateFor)):
            return self.evaluate(parts[0], bound)
        return "".join(self.part(part, bound) for part in parts)

    def name(self, expression: nodes.Name, bound: Bound) -> Value:
        """Return what an iterator stands for."""
        if expression.name in bound:
            return bound[expression.name]
        hint = "write var.NAME, local.NAME or the name of an iterator"
        raise Invalid(expression.line, f"unknown name {expression.name}", hint)

    def items(self, expression: nodes.Tuple, bound: Bound) -> Value:
        """Return a list."""
        return [self.evaluate(item, bound) for item in expression.items]

    def object(self, expression: nodes.Object, bound: Bound) -> Value:
        """Return an object."""
        return {self.key(key, bound): self.evaluate(value, bound) for key, value in expression.items}

    def operation(self, expression: nodes.Operation, bound: Bound) -> Value:
        """Return the result of an operator."""
        values = [self.resolved(operand, bound) for operand in expression.operands]
        return operate(expression.operator, values, expression.line)

    def conditional(self, expression: nodes.Conditional, bound: Bound) -> Value:
        """Return the value of the side that is chosen, as one of the type that both sides have in common."""
        chosen = to_bool(self.resolved(expression.condition, bound), expression.condition.line)
        sides = (expression.then, expression.otherwise)[:: 1 if chosen else -1]
        value = self.evaluate(sides[0], bound)
        try:
            own = self.resolve(value)
            other = None if isinstance(own, str) else self.resolved(sides[1], bound)  # a text stays one
        except (Invalid, NotFollowed):  # HCL does not report the other side's
            return value
        return chosen_side(value, (own, other), expression)

    def splat(self, expression: nodes.Splat, bound: Bound) -> Value:
        """Return the list of a splat: a single value counts as a list of it, null as an empty one."""
        value = self.shape(self.evaluate(expression.base, bound))
        values = value if isinstance(value, list) else [] if value is None else [value]
        return [self.evaluate(expression.rest, {**bound, "*": entry}) for entry in values]

    def part(self, part: nodes.Expression, bound: Bound) -> str:
        """Return a part of a template as text."""
        match part:
            case nodes.TemplateIf(condition=condition, then=then, otherwise=otherwise):
                chosen = then if to_bool(self.resolved(condition, bound), part.line) else otherwise
                return "".join(self.part(one, bound) for one in chosen)
            case nodes.TemplateFor(key=key, value=value, collection=collection, body=body):
                return "".join(
                    self.part(one, {**bound, key: name, value: entry})
                    for name, entry in self.walk(collection, bound)
                    for one in body
                )
        value = self.evaluate(part, bound)
        if value is None:
            hint = "give it a value, or compare it with null first"
            raise Invalid(part.line, f"{part.text[:60]} is null, in a string", hint)
        return to_text(value, part.line)

    def key(self, key: nodes.Expression, bound: Bound) -> str:
        """Return the key of an object."""
        return to_text(self.resolved(key, bound), key.line)

    def resolved(self, expression: nodes.Expression, bound: Bound) -> Value:
        """Return the value without references to variables. Raises NotFollowed."""
        return self.resolve(self.evaluate(expression, bound))

    def index(self, expression: nodes.Index, bound: Bound) -> Value:
        """Return an attribute or element."""
        base, line = expression.base, expression.line
        if isinstance(base, nodes.Name) and base.name not in bound and isinstance(expression.key, nodes.Literal):
            return self.named(base.name, str(expression.key.value), line, bound)
        outer = base.base if isinstance(base, nodes.Index) else None
        if isinstance(outer, nodes.Name) and outer.name == "data" and "data" not in bound:
            return self.source_of_data(base, expression.key, line)
        value = self.shape(self.evaluate(base, bound))
        value = self.resolve(value) if isinstance(value, (Variable, str)) else value
        key = self.resolved(expression.key, bound)
        return element(value, key, line)

    def source_of_data(self, base: nodes.Expression, key: nodes.Expression, line: int) -> Value:
        """Return nothing: only the bake knows a data source. Raises Invalid for one that does not exist."""
        assert isinstance(base, nodes.Index)
        kind, name = (str(one.value) if isinstance(one, nodes.Literal) else "" for one in (base.key, key))
        if (kind, name) not in self.data:
            raise Invalid(line, f"there is no data source {kind}.{name}", f'add: data "{kind}" "{name}" {{...}}')
        raise NotFollowed

    def named(self, space: str, name: str, line: int, bound: Bound) -> Value:
        """Return ``var.name``, ``local.name`` or ``path.name``."""
        if space == "var":
            return self.variable(name, line)
        if space == "local":
            return self.local(name, line)
        if space == "path" and name == "root":
            return ROOT
        if space == "path" and name != "cwd":
            raise Invalid(line, f"there is no path.{name}", "write path.root or path.cwd")
        if space in ("data", "packer", "path"):
            raise NotFollowed
        raise Invalid(line, f"unknown name {space}.{name}", "declare it, or fix the name")

    def local(self, name: str, line: int) -> Value:
        """Return a local value."""
        if name not in self.locals:
            raise Invalid(line, f"there is no local.{name}", "add it to a locals block, or fix the name")
        if name not in self.done:
            file, attribute = self.locals[name]
            depth = len(self.pending)
            try:
                if name in self.pending:
                    raise Invalid(attribute.line, f"local.{name} refers to itself", "write the value")
                self.pending.append(name)
                self.done[name] = self.evaluate(attribute.expression, {})
            except Invalid as error:
                error.file = error.file or file
                raise
            finally:
                self.pending = self.pending[:depth]
        return self.done[name]

    def walk(self, collection: nodes.Expression, bound: Bound) -> list[tuple[Value, Value]]:
        """Return keys and values in HCL's order. Raises Invalid for another value."""
        value = self.shape(self.evaluate(collection, bound))
        if isinstance(value, list):
            return list(zip(value, value, strict=True) if isinstance(value, Set) else enumerate(value))
        if isinstance(value, dict):
            return sorted(value.items())
        raise Invalid(collection.line, f"{described(self.resolve(value))} is not a collection", "write a list or a map")

    def comprehension(self, expression: nodes.For, bound: Bound) -> Value:
        """Return the list or object of a ``for`` expression."""
        items: list[Value] = []
        made: dict[str, Value] = {}
        for name, entry in self.walk(expression.collection, bound):
            inner = {**bound, expression.key: name, expression.value: entry}
            condition = expression.condition
            if condition is not None and not to_bool(self.resolved(condition, inner), condition.line):
                continue
            value = self.evaluate(expression.result, inner)
            if expression.result_key is None:
                items.append(value)
                continue
            key = self.key(expression.result_key, inner)
            if expression.group:
                made.setdefault(key, []).append(value)
            elif key in made:
                raise Invalid(expression.line, f"duplicate key {described(key)}", "add ... after the value")
            else:
                made[key] = value
        return items if expression.result_key is None else made

    def call(self, expression: nodes.Call, bound: Bound) -> Value:
        """Return the result of a function."""
        name, line = expression.name, expression.line
        if self.files is None:
            raise Invalid(line, f"{name}() in a value of a variable", "write the value: Packer calls no function there")
        if name in LAZY:
            return self.attempt(expression, bound)
        function = FUNCTIONS.get(name)
        if function is None and name in UNKNOWN:
            raise NotFollowed
        if function is None and name not in FILE_FUNCTIONS:
            raise Invalid(line, f"there is no function {name}", "see the functions of Packer's HCL templates")
        arguments = [self.evaluate(one, bound) for one in expression.arguments]
        if expression.expand:
            *arguments, last = arguments
            last = self.shape(last)
            if not isinstance(last, list):
                raise Invalid(line, "... follows what is not a list", "write a list before it")
            arguments += last
        if function is None:
            return self.with_file(name, arguments, line, self.files)
        return function.call([(self.shape if function.shallow else self.resolve)(one) for one in arguments], line)

    def with_file(self, name: str, arguments: list[Value], line: int, files: Files) -> Value:
        """Return the result of a function whose first argument is a path."""
        if not arguments:
            raise Invalid(line, f"{name} needs a path", "write a path")
        try:
            rest: Callable[[], list[Value]] = partial(list, map(self.resolve, arguments[1:]))
            path = arguments[0]
            if isinstance(path, str) and ROOT in path:
                path = path.replace(ROOT, files.root())
            result = files.call(name, to_text(self.resolve(path), line), rest, line)
        except NotFollowed as left:
            raise NotFollowed(*left.args or ([files.shared] if name in SEARCHES else [])) from None
        if isinstance(result, PendingTemplate):
            inner = Evaluator({}, frozenset(), {}, frozenset(), replace(files, in_template=True))
            return inner.evaluate(result.template, {**result.values, "*": None})
        return result

    def attempt(self, expression: nodes.Call, bound: Bound) -> Value:
        """Return the first argument of ``try`` that has a value, or whether that of ``can`` has one."""
        for argument in expression.arguments:
            try:
                value = self.resolved(argument, bound)
            except Invalid as error:
                if isinstance(error, Outside):
                    raise
                continue
            return True if expression.name == "can" else value
        if expression.name == "can":
            return False
        raise Invalid(expression.line, "no argument of try has a value", "add a last argument that has one")


_METHODS: Mapping[type[nodes.Expression], str] = {
    nodes.Literal: "literal",
    nodes.Template: "template",
    nodes.Name: "name",
    nodes.Tuple: "items",
    nodes.Object: "object",
    nodes.Operation: "operation",
    nodes.Conditional: "conditional",
    nodes.Index: "index",
    nodes.Splat: "splat",
    nodes.For: "comprehension",
    nodes.Call: "call",
}
