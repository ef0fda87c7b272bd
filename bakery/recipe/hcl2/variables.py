"""The variables that expressions refer to: kept as references where that is enough, else by their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from bakery.recipe.hcl2.values import ROOT, Invalid, NotFollowed, Set, Unfollowed, Value, Variable, to_text
from bakery.recipe.templating import NOT_FOLLOWED

_USER = re.compile(r"\{\{user `([^`]+)`\}\}")
_GLOBALS = ("var", "local", "path", "data", "packer", "build", "source")
_BAKE = (ROOT, NOT_FOLLOWED, "{{build `")  # what only the bake knows


def is_iterator(name: str, value: Value, text: str) -> bool:
    """Whether a bound name in the text of an expression is one of a loop; that of a dynamic block may be ``source``."""
    loops = name not in _GLOBALS or (isinstance(value, dict) and value.keys() == {"key", "value"})
    return loops and (name == "*" or name in text)


@dataclass
class Variables:
    """``variables`` are the values, ``kept`` those that may stay references."""

    variables: Mapping[str, Value]
    kept: frozenset[str]

    def resolve(self, value: Value) -> Value:
        """Return a value with all variables filled in. Raises NotFollowed."""
        if isinstance(value, Variable):
            return self.demand(value.name)
        if isinstance(value, Unfollowed):
            raise NotFollowed
        if isinstance(value, list):
            made = [self.resolve(entry) for entry in value]
            return Set(made) if isinstance(value, Set) else made
        if isinstance(value, dict):
            return {key: self.resolve(entry) for key, entry in value.items()}
        if isinstance(value, str) and "{{" in value:
            if any(sign in value for sign in _BAKE):
                raise NotFollowed
            return _USER.sub(lambda match: to_text(self.demand(match[1]), 0), value)
        return value

    def shape(self, value: Value) -> Value:
        """Return a value whose lists and objects are known; texts in them may have references."""
        if isinstance(value, Unfollowed):
            raise NotFollowed
        return value

    def demand(self, name: str) -> Value:
        """Return a variable's value, which decides something.

        Raises NotFollowed if only a build knows it, or if its text has the form of a reference in JSON.
        """
        if name not in self.variables or _USER.search(str(self.variables[name])):
            raise NotFollowed
        return self.resolve(self.variables[name])

    def variable(self, name: str, line: int) -> Value:
        """Return a variable: a reference if that can be filled in later."""
        if name not in self.variables:
            raise Invalid(line, f"var.{name} is an undeclared variable", f'declare it: variable "{name}" {{}}')
        if name in self.kept:
            return Variable(name)
        return self.variables[name]
