"""Models as JSON values: read back exactly, and errors that name the place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from bakery.codec import decode, encode


class Color(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    name: str
    size: float = 0.0


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    color: Color = Color.RED
    count: int = 0
    flag: bool = False
    file: Path = Path()
    place: Path | str | None = None
    by_name: Mapping[str, Part] = field(default_factory=dict)
    any: object = None


WHOLE = Whole((Part("a", 1.5), Part("b")), Color.RED, 3, True, Path("x"), Path("/y"), {"c": Part("c", 2.0)}, [1, {}])


def test_a_model_is_read_back_exactly() -> None:
    assert decode(Whole, encode(WHOLE)) == WHOLE
    assert decode(Whole, {"parts": [], "place": "gs://x/y"}) == Whole((), place="gs://x/y")


def test_an_integer_is_read_as_float_where_one_is_expected() -> None:
    size = decode(Part, {"name": "a", "size": 2}).size
    assert (size, type(size)) == (2.0, float)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "Whole is list, not dict"),
        ({}, "Whole: .*missing.*parts"),
        ({"parts": [], "odd": 1, "more": 2}, "Whole has no more, odd"),
        ({"parts": {}}, r"Whole.parts is dict, not list"),
        ({"parts": [{"name": "a"}, {"name": 1}]}, r"Whole.parts\[1\].name is int, not str"),
        ({"parts": [{"name": "a", "size": "1"}]}, r"Whole.parts\[0\].size is str, not float"),
        ({"parts": [], "color": "blue"}, "Whole.color: 'blue' is not a valid Color"),
        ({"parts": [], "color": 1}, "Whole.color is int, not str"),
        ({"parts": [], "count": True}, "Whole.count is bool, not int"),
        ({"parts": [], "count": 1.0}, "Whole.count is float, not int"),
        ({"parts": [], "flag": 1}, "Whole.flag is int, not bool"),
        ({"parts": [], "file": None}, "Whole.file is NoneType, not str"),
        ({"parts": [], "place": 5}, "Whole.place is int, not str"),
        ({"parts": [], "by_name": {"c": {}}}, "Whole.by_name.c: .*missing.*name"),
    ],
)
def test_an_error_names_the_place(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        decode(Whole, value)
