"""``fluidrun.yaml``: the jobs that test an image, as rcc-run reads them, with a few optional extensions.

The rules are in ``schemas/fluidrun.schema.json``. This module reports what differs from the schema, and checks the
rules that a schema cannot express; these are marked. Source of the first five fields: rcc-run's documentation of the CI
file. ``metrics``, ``attempts``, ``time_limit`` and ``upgrade`` are extensions, described in docs/recipe.md.
"""

import json
import posixpath
import re
import shlex
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from bakery.recipe.check.schema import faults
from bakery.recipe.model import Metric, SuiteJob
from bakery.recipe.parse import Document, Where, one_line, quoted
from bakery.recipe.references import REFERENCE, beyond_zero, with_reference
from bakery.recipe.shell import has_quotes
from bakery.recipe.templating import in_workspace

SCHEMA = Path(__file__).parents[1] / "schemas" / "fluidrun.schema.json"
JOB = frozenset(SuiteJob.__dataclass_fields__)
METRIC = frozenset(Metric.__dataclass_fields__)
_SECONDS = {"s": 1, "m": 60, "h": 3600}
_LINE = "write a string without line ends and control characters"
_TEXT = "write a string without control characters"
_PATH = "write a path inside the results, not outside, without .. and control characters"
BOUNDS = "bounds are fractions of the reference: write lower: -0.1 for 10 % below, upper: 0.1 for 10 % above"
_HINTS = {  # by field; a field that the schema rejects
    "tests": "write a mapping for each of the jobs",
    "metrics": "write - name: ... for each",
    "command_group": _LINE,
    "execution_command": "write a script inside the workspace, not outside, and its arguments",
    "output_directory": _PATH,
    "partition": _LINE,
    "batch_options": _TEXT,
    "time_limit": "write seconds, or 30m, or 2h; a day at most",
    "attempts": "write a whole number from 1 to 10",
    "name": _LINE,
    "pattern": "write a regular expression with the figure in parentheses: there is no group",
    "unit": _LINE,
    "file": _PATH,
    "reference": "write a number",
    "lower": BOUNDS,
    "upper": BOUNDS,
}


def jobs(suite: Document, exists: Callable[[str], bool]) -> tuple[SuiteJob, ...]:
    """Return the valid jobs in file order; ``exists`` takes a workspace path."""
    invalid = _report(suite)
    for key in suite.value:
        if key not in ("tests", "upgrade"):
            suite.warn(f"unknown key {key}", "remove it: jobs are below tests:", key)
    directories: set[str] = set()
    valid: list[SuiteJob] = []
    for index, entry in enumerate(suite.value["tests"] if () not in invalid else ()):
        where = ("tests", index)
        if isinstance(entry, dict):
            _warn_unknown(suite, where, entry)
        if where in invalid:
            continue
        right = _check_command(suite, where, entry, exists)
        right &= words(suite, (*where, "batch_options"), entry.get("batch_options") or "") is not None
        for number, metric in enumerate(entry.get("metrics") or ()):
            right &= _check_metric(suite, (*where, "metrics", number), metric)
        if entry["output_directory"] in directories:
            hint = "give each job its own: the results of the earlier job are overwritten"
            suite.warn(f"duplicate output_directory {entry['output_directory']}", hint, *where, "output_directory")
        directories.add(entry["output_directory"])
        if right:
            valid.append(_job(entry))
    return tuple(valid)


def upgrade(suite: Document) -> bool:
    """Return whether a cluster of the family's present image takes the new one node by node; false if it is invalid."""
    return suite.value.get("upgrade") is True


@cache
def _schema() -> Any:
    return json.loads(SCHEMA.read_text(encoding="utf-8"))


def _report(suite: Document) -> set[Where]:
    """Report all that the schema rejects. Return the places of these jobs, and () if there are no jobs at all."""
    invalid: set[Where] = set()
    for where, value, missing in faults(_schema(), suite.value):
        if where == ("upgrade",):
            suite.error(f"upgrade is {quoted(value)}", "write true or false", *where)
            continue
        invalid.add(where[:2] if len(where) > 1 else ())
        if len(where) < 2:
            suite.error("has no tests", "write a list of jobs below tests:", "tests")
        elif missing:
            suite.error(f"{missing} is missing", _HINTS[missing], *where)
        else:
            key = next(part for part in reversed(where) if isinstance(part, str))
            suite.error(f"{key} is {quoted(value)}", _HINTS[key], *where)
    return invalid


def _warn_unknown(suite: Document, where: Where, entry: Mapping[str, Any]) -> None:
    metrics = entry.get("metrics")
    metrics = [metric for metric in metrics if isinstance(metric, dict)] if isinstance(metrics, list) else []
    for index, values in enumerate((entry, *metrics)):
        known, place = (METRIC, (*where, "metrics", index - 1)) if index else (JOB, where)
        for key in values:
            if key not in known:
                suite.warn(f"unknown key {key}", f"use one of: {', '.join(sorted(known))}", *place, key)


def _check_command(suite: Document, where: Where, entry: Mapping[str, Any], exists: Callable[[str], bool]) -> bool:
    """Not in the schema: the script exists, also when it is written with quotes, which must be closed."""
    where = (*where, "execution_command")
    command = words(suite, where, entry["execution_command"])
    path = in_workspace(command[0]) if command else ""
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        hint = "begin at the workspace: the package's path and the script"
        suite.error(f"script {quoted(path)} is outside the workspace", hint, *where)
        return False
    if "/" in path and "$" not in path and not exists(posixpath.normpath(path)):
        hint = "add it, or fix the path; paths start at the workspace, see docs/recipe.md"
        suite.error(f"script {quoted(path)} does not exist", hint, *where)
        return False
    return command is not None


def words(suite: Document, where: Where, text: str) -> list[str] | None:
    """Return a command's words as a shell splits them. Not in the schema: None with an error for an unclosed quote."""
    try:
        return shlex.split(text) if has_quotes(text) else text.split()
    except ValueError as error:
        suite.error(f"{where[-1]}: {one_line(error)}", "close the quotes", *where)
        return None


def _check_metric(suite: Document, where: Where, metric: Mapping[str, Any]) -> bool:
    """Not in the schema: the pattern is a regular expression with a group, and bounds have a reference."""
    if metric.get("reference") is None and (metric.get("lower") is not None or metric.get("upper") is not None):
        suite.warn("has bounds and no reference", "give a reference", *where)
    bound = beyond_zero(with_reference(Metric("", "", ""), {key: metric.get(key) for key in REFERENCE}))
    if bound:
        suite.error(f"{bound} is {metric[bound]}, beyond zero", BOUNDS, *where, bound)
    try:
        with warnings.catch_warnings(action="ignore"):  # "possible nested set": for authors of Python
            groups = re.compile(metric["pattern"]).groups
    except (re.error, OverflowError, RecursionError) as error:
        suite.error(f"invalid regular expression: {one_line(error)}", "fix the pattern", *where, "pattern")
        return False
    if not groups:
        suite.error("pattern has no group", "put the figure in parentheses", *where, "pattern")
    return groups > 0 and not bound


def _job(entry: Mapping[str, Any]) -> SuiteJob:
    return SuiteJob(
        command_group=entry["command_group"],
        execution_command=entry["execution_command"],
        output_directory=entry["output_directory"],
        partition=entry.get("partition"),
        batch_options=entry.get("batch_options") or "",
        time_limit=seconds(entry.get("time_limit")),
        attempts=int(entry.get("attempts", 1)),
        metrics=tuple(
            Metric(**{"unit": "", **{key: value for key, value in metric.items() if key in METRIC}})
            for metric in entry.get("metrics") or ()
        ),
    )


def seconds(limit: str | float | None) -> int | None:
    """Return a valid time limit in seconds."""
    if limit is None:
        return None
    if not isinstance(limit, str):
        return int(limit)
    return int(limit.rstrip("smh")) * _SECONDS.get(limit[-1], 1)
