"""Packer's functions that depend on nothing but their arguments, as they are in Packer.

Source: hcl2template/functions.go and go-cty's ``function/stdlib``. A function, or a case of it, that Python would
compute differently is not followed: Packer evaluates it in the bake.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import math
import posixpath
import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import quote_plus

from bakery.recipe.hcl2 import encoding, lists
from bakery.recipe.hcl2.types import Type, convert
from bakery.recipe.hcl2.values import Invalid, NotFollowed, Set, Value, described, equal, to_text

Call = Callable[[list[Value], int], Value]
LAZY = frozenset({"try", "can"})
# Known to Packer, but they depend on the bake, or their results are not certain to be the same here.
_OTHERS = """
abspath aws_secretsmanager aws_secretsmanager_raw base64gzip bcrypt cidrhost cidrnetmask cidrsubnet cidrsubnets
consul_key convert csvdecode env formatdate legacy_isotime legacy_strftime log parseint pathexpand pow
regex_replace rfc3339_parse rsadecrypt setproduct textdecodebase64 textencodebase64 timeadd
timestamp unix_timestamp_parse urldecode uuidv4 uuidv5 vault yamldecode yamlencode
"""
UNKNOWN = frozenset(_OTHERS.split())


class Function(NamedTuple):
    """``call`` takes the arguments and the line; a ``shallow`` one may get lists of references to variables."""

    call: Call
    shallow: bool = False


def _typed(call: Callable[..., Value], *kinds: str, rest: str = "", shallow: bool = False) -> Function:
    """Return a function whose arguments are converted to these types first; further ones to ``rest``.

    ``any`` takes all, ``any?`` null, too; ``sequence`` is a list but not a set; other types are those of variables.
    """

    def checked(values: list[Value], line: int) -> Value:
        wanted = [*kinds, *itertools.repeat(rest, len(values) - len(kinds))] if rest else list(kinds)
        if len(values) != len(wanted):
            raise Invalid(line, f"{len(values)} arguments for a function that takes {len(kinds)}", "see Packer's docs")
        made = [_argument(value, kind, line) for value, kind in zip(values, wanted, strict=True)]
        try:
            return call(*made)
        except encoding.BadArguments as fault:
            raise Invalid(line, *fault.args) from None
        except (TypeError, ValueError, AttributeError, LookupError, ArithmeticError):
            raise NotFollowed from None

    return Function(checked, shallow)


def _argument(value: Value, kind: str, line: int) -> Value:
    if kind == "any?":
        return value
    if value is None:
        raise Invalid(line, "an argument is null", "write a value, or use try(...)")
    if kind == "any":
        return value
    if kind == "sequence" and isinstance(value, Set):
        raise Invalid(line, "a set where Packer takes only a list", "write [for one in SET : one]")
    kind = "list" if kind == "sequence" else kind
    if (kind == "list" and not isinstance(value, list)) or (kind == "map" and not isinstance(value, dict)):
        raise Invalid(line, f"{described(value)} is not a {kind}", f"write a {kind}")
    return value if kind in ("list", "map") else convert(value, Type(kind), line)


def _ascii(change: Callable[..., Value]) -> Callable[..., Value]:
    """Return a function of texts that is only certain for ASCII."""

    def checked(*values: Value) -> Value:
        if not all(value.isascii() for value in values if isinstance(value, str)):
            raise NotFollowed
        return change(*values)

    return checked


def _length(value: Value) -> int:
    if (isinstance(value, str) and not value.isascii()) or not isinstance(value, (str, list, dict)):
        raise NotFollowed
    return len(value)


def _merge(*maps: Value) -> dict[str, Value]:
    made: dict[str, Value] = {}
    for one in maps:
        made |= one or {}
    return made


def _lookup(values: dict[str, Value], key: str, *default: Value) -> Value:
    if key not in values and not default:
        raise encoding.BadArguments(f"lookup finds no key {described(key)}", "add a default as its third argument")
    return values.get(key, *default)


def _join(separator: str, *lists: list[Value]) -> str:
    return separator.join(to_text(value, 0) for value in itertools.chain(*lists))


def _substr(text: str, offset: float, length: float) -> str:
    begin = int(offset) if offset >= 0 else max(len(text) + int(offset), 0)
    return text[begin:] if length < 0 else text[begin : begin + int(length)]


def _set_of(join: Callable[..., set[str]], sets: Sequence[list[Value]]) -> Set:
    if not sets or not all(isinstance(value, str) for values in sets for value in values):
        raise NotFollowed
    return Set(sorted(join(*map(set, sets))))


def _hash(name: str) -> Function:
    return _typed(lambda text: hashlib.new(name, text.encode()).hexdigest(), "string")


def _sorted(values: list[Value]) -> list[str]:
    return sorted(to_text(value, 0) for value in values)


def _whole(change: Callable[[float], float]) -> Function:
    return _typed(lambda number: int(change(number)), "number")


def _all(values: list[Value]) -> bool:
    return all(value in (True, "true") for value in values)


def _any(values: list[Value]) -> bool:
    return any(value in (True, "true") for value in values)


def _indent(blanks: float, text: str) -> str:
    if blanks < 0:
        raise encoding.BadArguments("indent takes no negative number", "write 0 or more")
    return text.replace("\n", "\n" + " " * int(blanks))


def _title(text: str) -> str:
    return re.sub(r"(^|[^A-Za-z0-9_])([a-z])", lambda match: match[1] + match[2].upper(), text)


FUNCTIONS: Mapping[str, Function] = {
    "abs": _typed(abs, "number"),
    "alltrue": _typed(_all, "list"),
    "anytrue": _typed(_any, "list"),
    "base64decode": _typed(lambda text: base64.b64decode(text, validate=True).decode(), "string"),
    "base64encode": _typed(lambda text: base64.b64encode(text.encode()).decode(), "string"),
    "basename": _typed(lambda path: posixpath.basename(path.rstrip("/")) or ("/" if path else "."), "string"),
    "ceil": _whole(math.ceil),
    "chomp": _typed(lambda text: re.sub(r"[\r\n]+\Z", "", text), "string"),
    "chunklist": _typed(lists.chunks, "list", "number"),
    "coalesce": _typed(lists.coalesce, rest="any?"),
    "coalescelist": _typed(lists.first_filled, rest="sequence"),
    "compact": _typed(lists.compact, "list"),
    "concat": _typed(lists.joined, rest="sequence", shallow=True),
    "contains": _typed(lambda values, value: any(equal(one, value) for one in values), "list", "any"),
    "dirname": _typed(lambda path: posixpath.normpath(posixpath.dirname(path)), "string"),
    "distinct": _typed(lists.distinct, "list"),
    "element": _typed(lists.element, "sequence", "number", shallow=True),
    "endswith": _typed(str.endswith, "string", "string"),
    "flatten": _typed(lists.flatten, "list", shallow=True),
    "floor": _whole(math.floor),
    "format": _typed(encoding.formatted, "string", rest="any?"),
    "formatlist": _typed(encoding.formatted_list, "string", rest="any"),
    "indent": _typed(_indent, "number", "string"),
    "index": _typed(lists.index, "sequence", "any"),
    "join": _typed(_join, "string", "list", rest="list", shallow=True),
    "jsondecode": _typed(encoding.from_json, "string"),
    "jsonencode": _typed(encoding.as_json, "any?"),
    "keys": _typed(sorted, "map", shallow=True),
    "length": _typed(_length, "any"),
    "lookup": _typed(_lookup, "map", "string", rest="any?", shallow=True),
    "lower": _typed(_ascii(str.lower), "string"),
    "max": _typed(max, "number", rest="number"),
    "md5": _hash("md5"),
    "merge": _typed(_merge, rest="any?", shallow=True),
    "min": _typed(min, "number", rest="number"),
    "range": _typed(lists.counted, rest="number"),
    "regex": _typed(encoding.regex, "string", "string"),
    "regexall": _typed(encoding.regex_all, "string", "string"),
    "replace": _typed(str.replace, "string", "string", "string"),
    "reverse": _typed(lambda values: values[::-1], "list", shallow=True),
    "setintersection": _typed(lambda *sets: _set_of(set.intersection, sets), rest="list"),
    "setunion": _typed(lambda *sets: _set_of(set.union, sets), rest="list"),
    "sha1": _hash("sha1"),
    "sha256": _hash("sha256"),
    "sha512": _hash("sha512"),
    "signum": _typed(lambda number: (number > 0) - (number < 0), "number"),
    "slice": _typed(lists.part, "sequence", "number", "number", shallow=True),
    "sort": _typed(_sorted, "list"),
    "split": _typed(lambda separator, text: text.split(separator) if separator else list(text), "string", "string"),
    "startswith": _typed(str.startswith, "string", "string"),
    "strcontains": _typed(str.__contains__, "string", "string"),
    "strrev": _typed(_ascii(lambda text: text[::-1]), "string"),
    "substr": _typed(_ascii(_substr), "string", "number", "number"),
    "sum": _typed(lists.total, "list"),
    "title": _typed(_ascii(_title), "string"),
    "trim": _typed(lambda text, signs: text.strip(signs) if signs else text, "string", "string"),
    "trimprefix": _typed(str.removeprefix, "string", "string"),
    "trimspace": _typed(str.strip, "string"),
    "trimsuffix": _typed(str.removesuffix, "string", "string"),
    "upper": _typed(_ascii(str.upper), "string"),
    "urlencode": _typed(lambda text: quote_plus(text, safe=""), "string"),
    "values": _typed(lambda mapping: [mapping[key] for key in sorted(mapping)], "map", shallow=True),
    "zipmap": _typed(lambda keys, values: dict(zip(keys, values, strict=True)), "list", "list"),
}
