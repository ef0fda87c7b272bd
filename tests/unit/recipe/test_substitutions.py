from __future__ import annotations

import shutil
import subprocess

import pytest

from bakery.recipe.substitutions import substitute, substitutions_in

VALUES = ("1.2.3", "", "a/b.c/d", "Main-Branch", "x")
OPERATIONS = (
    "//./-",
    "/./-",
    "/#1/z",
    "/%3/z",
    "//./",
    "#1.",
    "##*/",
    "##*.",
    "%.*",
    "%%.*",
    "%/*",
    ":-none",
    "-none",
    ":+some",
    "+some",
    "^^",
    ",,",
    "^",
    ",",
    ":1:1",
    ": -2",
    ":0:2",
)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("value", VALUES)
def test_expansions_are_those_of_bash(value: str) -> None:
    script = "; ".join(f'printf "%s\\n" "${{_V{operation}}}"' for operation in OPERATIONS)
    done = subprocess.run(["bash", "-c", script], env={"_V": value}, capture_output=True, text=True, check=True)
    found = [substitute(f"${{_V{operation}}}", {"_V": value}) for operation in OPERATIONS]
    assert dict(zip(OPERATIONS, found, strict=True)) == dict(zip(OPERATIONS, done.stdout.splitlines(), strict=True))


@pytest.mark.parametrize("text", ["${_V//[0-9]/x}", "${_V@Q}", "${_V//$x/y}", "${!_V}"])
def test_an_expansion_that_is_not_known_stays(text: str) -> None:
    assert substitute(text, {"_V": "1.2"}) == text


def test_a_default_may_be_another_substitution() -> None:
    assert substitute("${_A:-${_B}}!", {"_B": "b"}) == "b!"
    assert substitutions_in("${_A:-${_B}} $_C $$_D ${_E}") == ("_A", "_B", "_C", "_E")
