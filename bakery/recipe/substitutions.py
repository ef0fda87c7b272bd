"""Cloud Build's substitutions, filled in as Cloud Build does it.

Sources: Cloud Build, "Substituting variable values" (``$NAME``, ``${NAME}``, ``$$`` for a dollar sign, user-defined
names begin with ``_``, bash parameter expansions such as ``${_TAG//./-}``); Bash Reference Manual, "Shell Parameter
Expansion".
"""

import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache

from bakery.recipe.model import Json

SUBSTITUTION = re.compile(
    r"\$\$|\$\{([A-Z_][A-Z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)"
    r"|\$\{([A-Z_][A-Z0-9_]*)([-:/#%^,+](?:[^{}$]|\$\{[^{}]*\})*)\}"
)
UNDEFINED = re.compile(r"(?<!\$)(?:\$\$)*\$\{?_[A-Z]")  # $$ is a dollar sign
DEPTH = 8  # of dynamic substitutions
_SLICE = re.compile(r":(\d+|\s-\d+)(?::(-?\d+))?")
_CASES: Mapping[str, Callable[[str], str]] = {
    "^^": str.upper,
    ",,": str.lower,
    "^": lambda text: text[:1].upper() + text[1:],
    ",": lambda text: text[:1].lower() + text[1:],
}
_SPECIAL = frozenset("*?[\\$\"'")  # characters of a pattern that do not stand for themselves


def substitute(text: str, values: Mapping[str, str], *, last: bool = False) -> str:
    """``text`` with Cloud Build's substitutions filled in; names without a value stay as they are.

    ``$$`` is kept for a later pass unless this is the ``last`` one. A bash expansion that is not known stays, too.
    """

    name = text[2:-1]
    if name in values and text == f"${{{name}}}" and name.isidentifier() and name.isupper() and name.isascii():
        return values[name]  # most texts are one name

    def filled(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is not None:
            return values.get(name, match[0])
        if match[3] is None:
            return "$" if last else "$$"
        found = _expanded(values.get(match[3]), substitute(match[4], values))
        return match[0] if found is None else found

    return SUBSTITUTION.sub(filled, text) if "$" in text else text


def substitutions_in(text: str) -> tuple[str, ...]:
    """Return the names of the substitutions that a text uses."""
    return _substitutions_in(text) if "$" in text else ()


@lru_cache(4096)  # here and below: recipes pass the same arguments again and again
def _substitutions_in(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for match in SUBSTITUTION.finditer(text):
        found += [name for name in match.group(1, 2, 3) if name]
        found += substitutions_in(match[4]) if match[4] else ()
    return tuple(found)


@lru_cache(4096)
def has_unknown(text: str) -> bool:
    """Return whether a text has an expansion that is not known here, of a user's substitution or of no known form."""
    if "${" in SUBSTITUTION.sub("", text):
        return True
    matches = (match for match in SUBSTITUTION.finditer(text) if match[3])
    return any(UNDEFINED.search(substitute(match[0], {match[3]: "x"})) for match in matches)


def dynamic(build: Json, values: Mapping[str, str]) -> dict[str, str]:
    """Return the substitutions of the build: with ``dynamicSubstitutions``, those in their values are replaced.

    A loop stays as text.
    """
    options = build.get("options") if isinstance(build, Mapping) else None
    done = dict(values)
    for _ in range(DEPTH if isinstance(options, Mapping) and options.get("dynamicSubstitutions") else 0):
        before, done = done, {key: substitute(text, done) for key, text in done.items()}
        if before == done:
            break
    return done


def _expanded(value: str | None, operation: str) -> str | None:
    """Return a value after a bash expansion (``//./-``); None if it is not one of those that are known here."""
    text = value or ""
    sign, word = operation[0], operation[1:]
    if operation[:2] in (":-", ":+") or sign in "-+":
        plus, word = "+" in operation[:2], word[1:] if sign == ":" else word
        there = bool(text) if sign == ":" else value is not None
        return (word if there else "") if plus else (text if there else word)
    if match := _SLICE.fullmatch(operation):
        return _sliced(text, int(match[1]), None if match[2] is None else int(match[2]))
    if operation in _CASES:
        return _CASES[operation](text)
    if sign in "#%":
        return _trimmed(text, sign, word.removeprefix(sign), longest=word.startswith(sign))
    return _replaced(text, word) if sign == "/" else None


def _sliced(text: str, start: int, length: int | None) -> str | None:
    start = len(text) + start if start < 0 else start
    if start < 0:
        return ""
    end = len(text) if length is None else length + (start if length >= 0 else len(text))
    return text[start:end] if end >= start else None


def _trimmed(text: str, sign: str, pattern: str, *, longest: bool) -> str | None:
    """Return ``text`` without the part at its begin (#) or end (%) that matches the shell pattern."""
    if _SPECIAL.difference("*?[").intersection(pattern):
        return None
    lengths = range(len(text), -1, -1) if longest else range(len(text) + 1)
    for length in lengths:
        part, rest = (
            (text[:length], text[length:]) if sign == "#" else (text[len(text) - length :], text[: -length or None])
        )
        if fnmatchcase(part, pattern):
            return rest
    return text


def _replaced(text: str, word: str) -> str | None:
    how = word[0] if word[:1] in ("/", "#", "%") else ""
    old, _, new = word[len(how) :].partition("/")
    if not old or _SPECIAL.intersection(old + new):
        return None
    if how == "/":
        return text.replace(old, new)
    if how == "#":
        return new + text.removeprefix(old) if text.startswith(old) else text
    if how == "%":
        return text.removesuffix(old) + new if text.endswith(old) else text
    return text.replace(old, new, 1)
