"""One table of values of ``fluidrun.yaml``: the published schema and the loader accept and reject the same ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bakery.recipe.check.fluidrun import SCHEMA
from bakery.recipe.check.schema import KEYWORDS
from tests.support import recipe_tree
from tests.support.every import every

SCRIPT = "packages/app/test/run.sh"
METRIC = {"name": "speed", "pattern": "speed=(\\S+)"}
VALID: dict[str, list[Any]] = {
    "command_group": ["smoke", "two words", "é", "😀", "\ue000", "1e3"],
    "execution_command": [SCRIPT, f"{SCRIPT} ../up", f"$WORKSPACE/{SCRIPT}", f"${{WORKSPACE}}/{SCRIPT} 'a b'", "true"],
    "output_directory": ["a", "./a", "a b/c", ".hidden", "...", "a..b", "a/./b"],
    "partition": ["debug", None],
    "batch_options": ["", None, "--nodes=1\n--time=1", "--name='a b'"],
    "time_limit": [1, 86400, 60.0, 86400.0, "1", "86400s", "1440m", "24h", "030m", "00005", None],
    "attempts": [1, 10, 2.0],
    "metrics": [
        [],
        None,
        [METRIC],
        [{"name": "a", "pattern": "(?P<x>a)", "unit": "", "file": "out/log"}],
        [METRIC | {"reference": 0, "lower": -2, "upper": 5}],
        [METRIC | {"reference": -1, "lower": -2}],
        [METRIC | {"reference": 1e300, "lower": -0.0, "upper": 1e300}],
        [METRIC, METRIC],
        [METRIC | {"pattern": "[[](\\d+)"}],  # Python warns of a nested set
    ],
}
# Value and a part of the message.
INVALID: dict[str, list[tuple[Any, str]]] = {
    "command_group": [
        (3, "is 3"),
        ("", "is ''"),
        (" ", "is ' '"),
        ("a\nb", "line ends"),
        ("a\n", "line ends"),
        *((value, "line ends") for value in ("\u00a0", "\u200b", "a\tb", "\x85", "\ufeff", "\u2028", True)),
    ],
    "execution_command": [
        *((path, "outside") for path in ("/bin/true", "~/x", "../x", "a/../x", "$WORKSPACE//x", "${WORKSPACE}/../x")),
        *((path, "outside") for path in ("\u3000../x", "\u00a0/bin/true", "$WORKSPACE/~/x", ".. x")),
        *((value, "execution_command is") for value in ("", " ", None, "a\0b")),
    ],
    "output_directory": [
        *((path, "outside") for path in (".", "./", "./.", "..", "../x", "a/..", "a/../b", "/x", "~x", "." + "/" * 99)),
        *((path, "outside") for path in (".//.", "./a/..", "/ ")),
        *((value, "output_directory is") for value in ("", " ", " a", None, 3, "a\nb", "a\n")),
    ],
    "partition": [("", "is ''"), (" ", "is ' '"), (3, "is 3")],
    "batch_options": [(3, "is 3"), ("a\0", "control characters"), (["--nodes=1"], "is ['--nodes=1']")],
    "time_limit": [
        *(
            (value, "a day at most")
            for value in (0, "0", "0h", -1, 86401, "86401", "86401s", "1441m", "25h", 10**25, "000005")
        ),
        *(
            (value, "time_limit is")
            for value in ("soon", "30m\n", "", "1.5h", 1.5, True, [1], "5 m", "1M", "+5", "\uff15", "1m30s", "5d", {})
        ),
    ],
    "attempts": [(value, "attempts is") for value in (0, -1, 11, 10**30, "2", True, None, 1.5, [1])],
    "metrics": [
        *((value, "write - name") for value in ("", 0, {}, [3])),
        ([{"name": "a"}], "pattern is missing"),
        ([{"pattern": "(a)"}], "name is missing"),
        ([METRIC | {"name": " "}], "name is ' '"),
        *(([METRIC | {"pattern": pattern}], "no group") for pattern in ("a", "(?:a)", " ")),
        *(([METRIC | {"file": file}], "outside") for file in (".", "../x", "/x", "~/x")),
        *(([METRIC | {"unit": unit}], "unit is") for unit in (None, "a\nb", 3)),
        ([METRIC | {"reference": "x"}], "write a number"),
        *(([METRIC | {"reference": 1, "lower": lower}], "lower is") for lower in (0.5, "x", True)),
        *(([METRIC | {"reference": 1, "upper": upper}], "upper is") for upper in (-0.5, "x")),
    ],
}
# What a schema cannot express.
BEYOND: dict[str, list[tuple[Any, str]]] = {
    "execution_command": [
        ("packages/app/gone.sh", "does not exist"),
        ("'/bin/true'", "outside"),
        ('"../x"', "outside"),
        (f"{SCRIPT} '", "close the quotes"),
    ],
    "batch_options": [("--name='a", "close the quotes")],
    "metrics": [
        ([METRIC | {"reference": 1, "lower": -2}], "beyond zero"),
        ([METRIC | {"reference": -1, "upper": 2}], "beyond zero"),
        ([METRIC | {"pattern": "(a"}], "invalid regular expression"),
        ([METRIC | {"pattern": "\\(a"}], "pattern has no group"),
        ([METRIC | {"pattern": "[(]a"}], "pattern has no group"),
    ],
}


def cases(table: dict[str, list[Any]]) -> list[Any]:
    return [pytest.param(key, value, id=f"{key}-{value!r:.60}") for key, values in table.items() for value in values]


def suite(key: str, value: Any) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(recipe_tree.SUITE)
    content["tests"][0] |= {"attempts": 1, key: value}
    return content


def schema_accepts(content: dict[str, Any]) -> bool:
    return bool(Draft202012Validator(json.loads(SCHEMA.read_text())).is_valid(content))


def errors(root: Path, content: dict[str, Any]) -> list[str]:
    problems = recipe_tree.spoilt(root, {"fluidrun.yaml": yaml.safe_dump(content, sort_keys=False)})
    return [f"{problem.line}: {problem.message}; {problem.hint}" for problem in problems if problem.severity == "error"]


@pytest.mark.parametrize(("key", "value"), cases(VALID))
def test_a_valid_value_is_accepted_by_both(tmp_path: Path, key: str, value: Any) -> None:
    content = suite(key, value)
    assert schema_accepts(content)
    assert errors(tmp_path, content) == []


@pytest.mark.parametrize(("key", "case"), cases(INVALID))
def test_an_invalid_value_is_rejected_by_both(tmp_path: Path, key: str, case: tuple[Any, str]) -> None:
    value, message = case
    content = suite(key, value)
    assert not schema_accepts(content)
    reported(tmp_path, content, key, message)


@pytest.mark.parametrize(("key", "case"), cases(BEYOND))
def test_a_rule_beyond_the_schema_is_checked_by_the_loader(tmp_path: Path, key: str, case: tuple[Any, str]) -> None:
    value, message = case
    content = suite(key, value)
    assert schema_accepts(content)
    reported(tmp_path, content, key, message)


def reported(root: Path, content: dict[str, Any], key: str, message: str) -> None:
    """Assert that there are only errors in the lines of the key, and that one of them has the message."""
    found = errors(root, content)
    lines = (root / "packages/app/fluidrun.yaml").read_text().splitlines()
    first = next(number for number, line in enumerate(lines, 1) if f"{key}:" in line)
    assert any(message in text for text in found), found
    assert every(first <= int(text.split(":")[0]) <= first + 8 for text in found), found


@pytest.mark.parametrize("content", [{}, {"tests": []}, {"tests": 3}, {"tests": None}, {"tests": [3]}])
def test_a_file_without_jobs_is_rejected_by_both(tmp_path: Path, content: dict[str, Any]) -> None:
    assert not schema_accepts(content)
    assert errors(tmp_path, content)


@pytest.mark.parametrize("value", [True, False, "true", 1, None, "yes", []])
def test_upgrade_is_true_or_false_for_both(tmp_path: Path, value: Any) -> None:
    content = {"upgrade": value, **suite("attempts", 1)}
    valid = isinstance(value, bool)
    assert schema_accepts(content) is valid
    found = errors(tmp_path, content)
    assert found == [] if valid else [text for text in found if "write true or false" in text] == found != []


@pytest.mark.parametrize("key", ["command_group", "execution_command", "output_directory"])
def test_a_missing_field_is_rejected_by_both(tmp_path: Path, key: str) -> None:
    content = suite("attempts", 1)
    del content["tests"][0][key]
    assert not schema_accepts(content)
    assert any(f"{key} is missing" in text for text in errors(tmp_path, content))


def keywords(schema: Any) -> set[str]:
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    return set(schema).union(*(keywords(entry) for entry in inner))


def test_the_schema_uses_only_keywords_that_the_loader_knows() -> None:
    ignored = {"$schema", "title", "description", "format", "additionalProperties"}  # they reject nothing
    assert keywords(json.loads(SCHEMA.read_text())) - ignored <= KEYWORDS


@pytest.mark.parametrize("key", ["reference", "lower", "upper"])
@pytest.mark.parametrize(
    "value", [float("inf"), float("-inf"), 10**400, -(10**400)], ids=["inf", "-inf", "big", "-big"]
)
def test_a_number_that_no_program_takes_is_rejected_by_both(tmp_path: Path, key: str, value: float) -> None:
    content = suite("metrics", [METRIC | {"reference": 1, key: value}])
    assert not schema_accepts(content)
    assert any("holds" in text for text in errors(tmp_path, content))
