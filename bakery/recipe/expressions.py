"""Expressions of Packer's JSON templates (``{{user `x` | upper}}``), evaluated as Packer does it.

Sources: Go's ``text/template`` (actions, trim markers, pipelines, strings), packer-plugin-sdk
``template/interpolate/funcs.go`` and the googlecompute plugin's ``clean_resource_name``, of 2024. What depends on the
machine that bakes (``timestamp``, ``uuid``, ``vault``) stays as text, and so does what Packer fills in later
(``.Path``).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

_STRING = r'"(?:\\.|[^"\\\n])*"|`[^`]*`'
_ACTION = re.compile(rf'\{{\{{(-(?=\s))?((?:{_STRING}|(?!\}}\}})[^"`])*?)((?<=\s)-)?\}}\}}', re.DOTALL)
_TOKEN = re.compile(rf"\s*(?:({_STRING})|([A-Za-z_]\w*)|(-?\d+)|([|()])|(\S))")
_FAMILY = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]")
_SIGNS = ("$", ".", "'")  # before names of Go's templates that are no functions
ALL = "*"  # stands for every variable: the name is computed

Value = str | int
Function = Callable[..., Value]
_Tokens = tuple[tuple[str, str], ...]  # kind and text


def _split(text: str, separator: str, index: int) -> str:
    return text.split(separator)[index] if separator else text[index]


def _clean_resource_name(text: str) -> str:
    return text if _FAMILY.fullmatch(text) else _NOT_IN_NAMES.sub("-", text.lower())


# Functions whose result is known wherever they are called.
_PURE: Mapping[str, Function] = {
    "upper": str.upper,
    "lower": str.lower,
    "replace": lambda old, new, count, text: text.replace(old, new, count),
    "replace_all": lambda old, new, text: text.replace(old, new),
    "split": _split,
    "clean_resource_name": _clean_resource_name,
}


class _Unknown(Exception):
    """The expression can't be evaluated before the bake."""


def reference_list(text: str) -> tuple[str, ...]:
    """Return the variables that a text refers to, each as often as it does; ``ALL`` stands for a computed name."""
    return _references(text) if "{{" in text else ()


@lru_cache(4096)  # here and below: recipes use the same expressions again and again
def _references(text: str) -> tuple[str, ...]:
    return tuple(name for match in _actions(text) for name in _names(match[2]))


@lru_cache(4096)
def _actions(text: str) -> tuple[re.Match[str], ...]:
    return tuple(_ACTION.finditer(text))


def references(text: str) -> frozenset[str]:
    """Return the variables that a text refers to, as :func:`reference_list`."""
    return frozenset(reference_list(text))


def only_reference(text: str) -> str:
    """Return the variable that a text consists of; "" if it is not exactly one."""
    match = _ACTION.fullmatch(text.strip())
    return _variable(match[2]) if match else ""


@lru_cache(4096)
def _variable(body: str) -> str:
    """Return the variable that an action consists of; "" if it is another one."""
    tokens = _tokens(body)
    return _literal(tokens[1][1]) if len(tokens) == 2 and tokens[0][1] == "user" and tokens[1][0] == "string" else ""


def mentions(text: str, function: str) -> bool:
    """Whether an expression of the text calls a function."""
    found = (match[2] for match in _actions(text)) if function in text else ()
    return any(token == ("name", function) for body in found for token in _tokens(body))


def bodies(text: str) -> tuple[tuple[str, ...], str]:
    """Return what is written in the expressions of a text, and the text without them."""
    return tuple(match[2].strip() for match in _actions(text)), _ACTION.sub("", text)


@lru_cache(4096)
def function_names(body: str) -> tuple[str, ...]:
    """Return the functions and keywords in an expression: its names, without those of fields and variables."""
    tokens = _tokens(body)
    before = ("", *(text for _, text in tokens))
    named = (text for (kind, text), sign in zip(tokens, before, strict=False) if kind == "name" and sign not in _SIGNS)
    return tuple(named)


def fill(text: str, variables: Mapping[str, str], functions: Mapping[str, Function] | None = None) -> str:
    """Return ``text`` with everything evaluated that is known; the rest is kept as it is written.

    ``functions`` are known besides Packer's own pure ones. An expression with an unknown variable or function is kept.
    """
    if "{{" not in text:
        return text
    known: dict[str, Function] | None = None  # most texts need no function
    made: list[str] = []
    at, trim = 0, False
    for match in _actions(text):
        try:
            name = _variable(match[2])
            if not name and known is None:
                known = {**_PURE, "user": variables.__getitem__, **(functions or {})}
            value = variables[name] if name else str(_evaluate(match[2], known or {}))
        except (_Unknown, KeyError, IndexError, TypeError, ValueError, AttributeError):
            value = match[0]
            left = right = False
        else:
            left, right = bool(match[1]), bool(match[3])
        between = text[at : match.start()]
        between = between.lstrip() if trim else between
        made += [between.rstrip() if left else between, value]
        at, trim = match.end(), right
    rest = text[at:]
    return "".join([*made, rest.lstrip() if trim else rest])


def replaced(text: str, function: str, value: str) -> str:
    """Return ``text`` with the calls of a function without arguments replaced by a literal value."""

    def action(match: re.Match[str]) -> str:
        parts = [f"`{value}`" if name == function else token for _, name, token in _spaced(match[2])]
        if len(parts) == 1 and parts[0] == f"`{value}`" and not match[1] and not match[3]:
            return value
        return f"{{{{{match[1] or ''}{' ' if match[1] else ''}{''.join(parts)}{' -' if match[3] else ''}}}}}"

    return _ACTION.sub(lambda m: action(m) if function in m[2] else m[0], text) if function in text else text


def _spaced(body: str) -> Iterator[tuple[str, str, str]]:
    """Yield kind, text, and text with the blanks before it, of every token."""
    for match in _TOKEN.finditer(body):
        kind = ("string", "name", "number", "sign", "other")[int(match.lastindex or 5) - 1]
        yield kind, match[int(match.lastindex or 5)], match[0]


@lru_cache(4096)
def _tokens(body: str) -> _Tokens:
    return tuple((kind, text) for kind, text, _ in _spaced(body))


def _literal(token: str) -> str:
    return token[1:-1] if token[0] == "`" else str(json.loads(token))


def _names(body: str) -> Iterator[str]:
    tokens = _tokens(body)
    for index, (kind, text) in enumerate(tokens):
        if kind == "name" and text == "user":
            follows = tokens[index + 1 : index + 2]
            before = tokens[index - 2 : index]
            if follows and follows[0][0] == "string":
                yield _literal(follows[0][1])
            elif [token[0] for token in before] == ["string", "sign"]:  # "name" | user
                yield _literal(before[0][1])
            else:
                yield ALL


def _evaluate(body: str, functions: Mapping[str, Function]) -> Value:
    """Return the value of a pipeline. Raises _Unknown, or what a function raises on wrong arguments."""
    tokens = _tokens(body)
    value, rest = _pipeline(tokens, functions)
    if rest:
        raise _Unknown
    return value


def _pipeline(tokens: _Tokens, functions: Mapping[str, Function]) -> tuple[Value, _Tokens]:
    value, tokens = _command(tokens, functions, [])
    while tokens and tokens[0][1] == "|":
        value, tokens = _command(tokens[1:], functions, [value])
    return value, tokens


def _command(tokens: _Tokens, functions: Mapping[str, Function], piped: list[Value]) -> tuple[Value, _Tokens]:
    """Return the value of one command; the value ``piped`` into it is its last argument."""
    if not tokens:
        raise _Unknown
    if tokens[0][0] == "name":
        function = functions.get(tokens[0][1])
        if function is None:
            raise _Unknown
        arguments, tokens = _operands(tokens[1:], functions)
        return function(*arguments, *piped), tokens
    operands, tokens = _operands(tokens, functions)
    if len(operands) != 1 or piped:
        raise _Unknown
    return operands[0], tokens


def _operands(tokens: _Tokens, functions: Mapping[str, Function]) -> tuple[list[Value], _Tokens]:
    found: list[Value] = []
    while tokens and tokens[0][1] not in ("|", ")"):
        kind, text = tokens[0]
        if kind == "string":
            found.append(_literal(text))
        elif kind == "number":
            found.append(int(text))
        elif text == "(":
            value, rest = _pipeline(tokens[1:], functions)
            if not rest or rest[0][1] != ")":
                raise _Unknown
            found.append(value)
            tokens = rest
        elif kind == "name" and text in functions:
            found.append(functions[text]())
        else:
            raise _Unknown
        tokens = tokens[1:]
    return found, tokens
