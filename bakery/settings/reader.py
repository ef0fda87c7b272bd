"""Reads typed values from a configuration mapping and collects every problem instead of stopping at the first."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from bakery.errors import Problem

Choice = TypeVar("Choice", bound=StrEnum)


class Reader:
    """One mapping. ``where`` names its file in problems, ``prefix`` is written before its keys there."""

    def __init__(self, values: Mapping[str, Any], where: str, prefix: str, problems: list[Problem]) -> None:
        self.values = values
        self.where = where
        self.prefix = prefix
        self.problems = problems
        self.seen: set[str] = set()

    def wrong(self, key: str, message: str, hint: str) -> None:
        """Note a problem with one key, once, however often the key is read."""
        self._note(f"{self.prefix}{key} {message}", hint)

    def _note(self, message: str, hint: str) -> None:
        problem = Problem(self.where, 1, message, hint)
        if problem not in self.problems:
            self.problems.append(problem)

    def take(self, key: str, default: Any, kind: Callable[[Any], Any], what: str) -> Any:
        """Return the value of ``key`` converted by ``kind``, or the default; an invalid value becomes a problem."""
        self.seen.add(key)
        if self.values.get(key) is None:
            return default
        try:
            return kind(self.values[key])
        except (TypeError, ValueError, OverflowError):
            self.wrong(key, f"is {self.values[key]!r}", f"write {what}")
            return default

    def text(self, key: str, default: str = "") -> str:
        """Return a string."""
        return str(self.take(key, default, _text, "a string"))

    def path(self, key: str, root: Path, default: str = "") -> Path:
        """Return a path, which starts at ``root`` unless it is absolute or begins with ~, as an absolute one."""

        def absolute(value: Any) -> Path:
            try:
                return (root / Path(_text(value)).expanduser()).resolve()
            except RuntimeError as error:  # no such user, or links that lead to each other
                raise ValueError from error

        return Path(self.take(key, (root / default).resolve(), absolute, "the path of a file or folder"))

    def count(self, key: str, default: int, least: int = 0, most: int | None = None) -> int:
        """Return a whole number of at least ``least``, and at most ``most``."""

        def number(value: Any) -> int:
            result = int(str(value))  # accepts text, which Pulumi passes; refuses fractions and flags
            if result < least or (most is not None and result > most):
                raise ValueError
            return result

        what = f"{least} or more" if most is None else f"from {least} to {most}"
        return int(self.take(key, default, number, f"a whole number, {what}"))

    def flag(self, key: str, default: bool) -> bool:
        """Return true or false."""
        return bool(self.take(key, default, _flag, "true or false"))

    def choice(self, key: str, default: Choice) -> Choice:
        """Return one of an enum's values."""
        kind = type(default)
        chosen: Choice = self.take(key, default, kind, "one of " + ", ".join(kind))
        return chosen

    def words(self, key: str, least: int = 0) -> tuple[str, ...]:
        """Return a list of strings, ``least`` or more if it is set."""

        def strings(value: Any) -> tuple[str, ...]:
            entries = tuple(_text(entry) for entry in _structured(list, value))
            if len(entries) < least:
                raise ValueError
            return entries

        return tuple(
            self.take(key, (), strings, f"a list of {least} or more strings" if least else "a list of strings")
        )

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return a mapping."""
        return dict(self.take(key, {}, partial(_structured, dict), "a mapping"))

    def texts(self, key: str) -> Mapping[str, str]:
        """Return a mapping to strings; a key without a value is not set."""
        group = self.group(key)
        return {name: text for name in group.values if (text := group.text(name))}

    def lists(self, key: str) -> Mapping[str, tuple[str, ...]]:
        """Return a mapping to lists of strings."""
        group = self.group(key)
        return {name: group.words(name) for name in group.values}

    def group(self, key: str) -> Reader:
        """Return a reader of the mapping below ``key``."""
        return Reader(self.mapping(key), self.where, f"{self.prefix}{key}.", self.problems)

    def done(self) -> None:
        """Note every key that was not read."""
        for key in sorted(set(self.values) - self.seen):
            from difflib import get_close_matches  # needed for this error only

            close = get_close_matches(key, self.seen, n=1)
            meant = f"did you mean {close[0]!r}? " if close else ""
            self._note(f"unknown key '{self.prefix}{key}'", f"{meant}known: {', '.join(sorted(self.seen))}")


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError
    return str(value)


def _flag(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError


def _structured(kind: type, value: Any) -> Any:
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, kind):
        raise TypeError
    return value
