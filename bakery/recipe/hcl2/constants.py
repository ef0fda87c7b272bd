"""Values of variables: expressions without names, and with no function but ``env`` in a default.

Source: Packer, ``hcl2template/types.variables.go`` (a variable without a type has that of its default, if it has one).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import fields

from bakery.recipe.hcl2.evaluate import Evaluator
from bakery.recipe.hcl2.file_functions import Files
from bakery.recipe.hcl2.module import Module
from bakery.recipe.hcl2.types import ANY, Type
from bakery.recipe.hcl2.values import Invalid, NotFollowed, Value, equal, to_json
from bakery.recipe.model import Json
from bakery.recipe.parse import hcl_nodes as nodes

FILE: frozenset[str] = frozenset()  # what a value of a file of values, or of -var, may call
DEFAULT = frozenset({"env"})


def constant(expression: nodes.Expression, functions: frozenset[str]) -> Value:
    """Return the value of an expression that may call these functions. Raises Invalid and NotFollowed."""
    for part in _parts(expression):
        if isinstance(part, nodes.Call) and part.name not in functions:
            in_default = "use a local: there Packer calls only env"
            hint = in_default if functions else "write the value: Packer calls no function there"
            raise Invalid(part.line, f"{part.name}() in a value of a variable", hint)
        if isinstance(part, nodes.Name) and part.name == "path":
            raise Invalid(part.line, "path in a value of a variable", "use a local: Packer has no names there")
    return _evaluated(expression)


def _evaluated(expression: nodes.Expression) -> Value:
    evaluator = Evaluator({}, frozenset(), {}, frozenset(), Files())
    return evaluator.resolve(evaluator.evaluate(expression, {"*": None}))


def _parts(value: object) -> Iterator[nodes.Expression]:
    """Yield an expression and all expressions in it."""
    if isinstance(value, nodes.Expression):
        yield value
        for field in fields(value):
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from _parts(one)


def plain(expression: nodes.Expression) -> Json:
    """Return the value of an attribute as JSON; an empty object for one that is not known."""
    try:
        return to_json(_evaluated(expression))
    except (Invalid, NotFollowed):
        return {}


def check_order(module: Module, passed: Container[str]) -> None:
    """Report variables that Packers take from different files; those ``passed`` with ``-var`` are from none."""
    older = module.values_before_1_13
    for name, ((file, line), expression) in module.values.items():
        (other, _), other_expression = older[name]
        if name in passed or name not in module.variables or _same(expression, other_expression):
            continue
        hint = f"set it in one place; the plan takes {file}, as current Packers do"
        message = f"variable {name} is set in {other}, too, which counts for Packer before 1.13"
        module.findings.at(file).warn(line, message, hint)


def _same(one: nodes.Expression, other: nodes.Expression) -> bool:
    """Whether two values of var files are equal, as far as the plan can follow them."""
    try:
        return one is other or equal(constant(one, FILE), constant(other, FILE))
    except (Invalid, NotFollowed):
        return False


def is_code(text: str) -> bool:
    """Whether the text of a variable without a type is a list or an object, which the default has as JSON."""
    return text.startswith(("[", "{")) and not text.startswith("{{")


def type_of_default(default: nodes.Expression | None) -> Type:
    """Return the type of a variable that has only a default."""
    try:
        return ANY if default is None else _type(constant(default, DEFAULT))
    except Invalid:
        return ANY
    except NotFollowed:  # the environment, which is a text
        return Type("string")


def _type(value: Value) -> Type:
    if isinstance(value, bool):
        return Type("bool")
    if isinstance(value, (int, float)):
        return Type("number")
    if isinstance(value, str):
        return Type("string")
    if isinstance(value, list) and value:
        return Type("tuple", fields=tuple((str(at), _type(one)) for at, one in enumerate(value)))
    if isinstance(value, dict) and value:
        return Type("object", fields=tuple((name, _type(one)) for name, one in value.items()))
    return ANY
