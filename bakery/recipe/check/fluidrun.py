"""``fluidrun.yaml``: the jobs that prove an image, as rcc-run reads them, with a few optional extensions.

Source of the first five fields: rcc-run's documentation of the CI file. ``metrics``, ``attempts``, ``time_limit`` are
ours; docs/recipe.md says what they mean. schemas/fluidrun.schema.json has the same rules for editors.
"""

import posixpath
import re
import shlex
from collections.abc import Callable
from typing import Any

from bakery.recipe.model import Metric, SuiteJob
from bakery.recipe.parse.document import Document, Where
from bakery.recipe.parse.findings import one_line, quoted
from bakery.recipe.templating import in_workspace

JOB = frozenset(SuiteJob.__dataclass_fields__)
METRIC = frozenset(Metric.__dataclass_fields__)
ATTEMPTS = 10
_TIME = re.compile(r"([0-9]{1,9})([smh]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600}
_LONG = frozenset({"execution_command", "batch_options", "pattern"})  # may go over several lines
_CONTROL = re.compile(r"[\0-\x08\x0b-\x1f\x7f]")
_QUOTES = frozenset("'\"\\")


def jobs(suite: Document, exists: Callable[[str], bool]) -> tuple[SuiteJob, ...]:
    """The jobs that are right, in file order; ``exists`` takes a workspace path."""
    for key in suite.value:
        if key != "tests":
            suite.warn(f"unknown key {key}", "remove it: jobs are below tests:", key)
    entries = suite.entries("tests", "jobs")
    if not entries:
        suite.error("has no tests", "write a list of jobs below tests:", "tests")
    made = [_job(_Fields(suite, ("tests", index), entry), exists) for index, entry in entries]
    taken: set[str] = set()
    for (index, _), job in zip(entries, made, strict=True):
        if job is not None and job.output_directory in taken:
            hint = "give each job its own: the results of the earlier job are overwritten"
            suite.warn(f"duplicate output_directory {job.output_directory}", hint, "tests", index, "output_directory")
        taken |= {job.output_directory} if job is not None else set()
    return tuple(job for job in made if job is not None)


class _Fields:
    """Reads the fields of one mapping; a missing or wrong one is an error and makes ``right`` false."""

    def __init__(self, document: Document, where: Where, values: dict[str, Any]) -> None:
        self.document = document
        self.where = where
        self.values = values
        self.right = True

    def wrong(self, key: str, message: str, hint: str) -> None:
        self.right = False
        self.document.error(message, hint, *self.where, key)

    def text(self, key: str, default: str | None = None) -> str:
        found = self.values.get(key, default)
        if isinstance(found, str) and (found.strip() or default == ""):
            if found.isprintable() or (key in _LONG and _CONTROL.search(found) is None):
                return found
            self.wrong(key, f"{key} is {quoted(found)}", "remove line ends and control characters")
            return ""
        message = f"{key} is {quoted(found)}" if key in self.values else f"{key} is missing"
        self.wrong(key, message, "write a string")
        return ""

    def number(self, key: str) -> float | None:
        found = self.values.get(key)
        if found is None or (isinstance(found, (int, float)) and not isinstance(found, bool)):
            return found
        self.wrong(key, f"{key} is {quoted(found)}", "write a number")
        return None

    def known(self, names: frozenset[str]) -> None:
        for key in self.values:
            if key not in names:
                self.document.warn(f"unknown key {key}", f"use one of: {', '.join(sorted(names))}", *self.where, key)


def _job(fields: _Fields, exists: Callable[[str], bool]) -> SuiteJob | None:
    fields.known(JOB)
    partition = fields.text("partition") if fields.values.get("partition") is not None else None
    metrics = fields.values.get("metrics") or []
    if not isinstance(metrics, list) or not all(isinstance(entry, dict) for entry in metrics):
        fields.wrong("metrics", "metrics is not a list of mappings", "write - name: ... for each")
        metrics = []
    made = SuiteJob(
        command_group=fields.text("command_group"),
        execution_command=_command(fields, exists),
        output_directory=_directory(fields),
        partition=partition,
        batch_options=_batch_options(fields),
        time_limit=_time_limit(fields),
        attempts=_attempts(fields),
        metrics=tuple(
            _metric(_Fields(fields.document, (*fields.where, "metrics", index), entry))
            for index, entry in enumerate(metrics)
        ),
    )
    return made if fields.right else None


def _command(fields: _Fields, exists: Callable[[str], bool]) -> str:
    command = fields.text("execution_command")
    words = _words(fields, "execution_command", command)
    path = in_workspace(words[0]) if words else ""
    if path.startswith(("/", "~")) or ".." in path.split("/"):
        hint = "begin at the workspace: the package's path and the script"
        fields.wrong("execution_command", f"script {quoted(path)} is outside the workspace", hint)
    elif "/" in path and "$" not in path and not exists(posixpath.normpath(path)):
        hint = "add it, or fix the path; paths start at the workspace, see docs/recipe.md"
        fields.wrong("execution_command", f"script {quoted(path)} does not exist", hint)
    return command


def _directory(fields: _Fields) -> str:
    directory = fields.text("output_directory")
    if directory.startswith(("/", "~")) or ".." in directory.split("/") or posixpath.normpath(directory or "x") == ".":
        hint = "write a path inside the results"
        fields.wrong("output_directory", f"output_directory {quoted(directory)} is outside the results", hint)
    return directory


def _batch_options(fields: _Fields) -> str:
    options = fields.text("batch_options", "") if fields.values.get("batch_options") is not None else ""
    _words(fields, "batch_options", options)
    return options


def _words(fields: _Fields, key: str, text: str) -> list[str]:
    """A command's words as a shell splits them."""
    if not _QUOTES.intersection(text):
        return text.split()
    try:
        return shlex.split(text)
    except ValueError as error:
        fields.wrong(key, f"{key}: {one_line(error)}", "close the quotes")
        return []


def _time_limit(fields: _Fields) -> int | None:
    given = fields.values.get("time_limit")
    match = _TIME.fullmatch(str(given)) if isinstance(given, (str, int)) and not isinstance(given, bool) else None
    if given is None or (match and 0 < int(match[1]) * _SECONDS[match[2]] <= 86_400):
        return int(match[1]) * _SECONDS[match[2]] if match else None
    fields.wrong("time_limit", f"time_limit is {quoted(given)}", "write seconds, or 30m, or 2h; a day at most")
    return None


def _attempts(fields: _Fields) -> int:
    given = fields.values.get("attempts", 1)
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= ATTEMPTS:
        return given
    fields.wrong("attempts", f"attempts is {quoted(given)}", f"write a whole number from 1 to {ATTEMPTS}")
    return 1


def _metric(fields: _Fields) -> Metric:
    fields.known(METRIC)
    made = Metric(
        name=fields.text("name"),
        pattern=fields.text("pattern"),
        unit=fields.text("unit", ""),
        file=fields.text("file", "stdout"),
        reference=fields.number("reference"),
        lower=fields.number("lower"),
        upper=fields.number("upper"),
    )
    _pattern(fields, made.pattern)
    _bounds(fields, made)
    if made.file.startswith(("/", "~")) or ".." in made.file.split("/"):
        fields.wrong("file", f"file {quoted(made.file)} is outside the results", "name a file of the output_directory")
    return made


def _pattern(fields: _Fields, pattern: str) -> None:
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        fields.wrong("pattern", f"invalid regular expression: {one_line(error)}", "fix the pattern")
        return
    if pattern and not groups:
        fields.wrong("pattern", "pattern has no group", "put the figure in parentheses")


def _bounds(fields: _Fields, metric: Metric) -> None:
    hint = "bounds are fractions of the reference: lower: -0.1 is 10 % below, upper: 0.1 is 10 % above"
    if metric.lower is not None and not -1 <= metric.lower <= 0:
        fields.wrong("lower", f"lower is {metric.lower}", hint)
    if metric.upper is not None and metric.upper < 0:
        fields.wrong("upper", f"upper is {metric.upper}", hint)
    if metric.reference is None and (metric.lower is not None or metric.upper is not None):
        fields.document.warn("has bounds and no reference", "give a reference", *fields.where)
