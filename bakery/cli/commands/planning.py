"""``plan`` and ``lock``: what would be baked, and from which base images."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from typing import Annotated

import typer

from bakery.cli.commands.shared import DEFAULT_STACK, AsJson, Every, Folder, Stack, other_tree, print_json, settings_of
from bakery.cli.console import FAILED, WRONG_INPUT, say
from bakery.errors import InputError, Problem


def plan(  # noqa: PLR0917  options, not positions
    stack: Stack = DEFAULT_STACK,
    packages: Folder = None,
    common: Folder = None,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a pull request's comment.")] = False,
    every: Every = False,
    library: Annotated[bool, typer.Option(help="Compare with the library; without it everything is new.")] = True,
    since: Annotated[str, typer.Option(help="Compare with the recipes of a git revision.", show_default=False)] = "",
) -> None:
    """What would be baked, and why. Needs no engine and no stack; changes nothing."""
    from bakery.backends import backend
    from bakery.preview.plan_report import plan_report
    from bakery.report import plan as reports

    if since and (packages or common):
        raise InputError(
            [Problem("--since", 1, "compares this checkout's recipes", "leave --packages and --common out")]
        )
    if as_json and markdown:
        raise InputError([Problem("--markdown", 1, "is another output than --json", "name one of the two")])
    settings = other_tree(settings_of(stack), packages, common)
    settings = replace(settings, select=()) if every else settings
    # Neither another tree nor a package that the stack leaves out needs a lock: an unlocked base hides no plan.
    stored = backend(settings).existing_library if library else lambda: None
    report = plan_report(settings, stored, locked=packages is None and not every, since=since)
    found = reports.to_json(report)
    wrong = any(problem["severity"] == "error" for problem in found["problems"])
    if as_json:
        print_json(found)
    elif markdown:
        from bakery.report.plan_markdown import render as as_comment

        sys.stdout.write(as_comment(found))
    else:
        from bakery.report.plan_table import render as as_table

        sys.stdout.write(as_table(found, colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    if wrong or not (as_json or markdown):
        for problem in report.problems:
            say(str(problem))
    if wrong:
        raise SystemExit(WRONG_INPUT)


def lock(
    stack: Stack = DEFAULT_STACK,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail when there is a newer base.")] = False,
    every: Every = False,
) -> None:
    """Look up the external base images and pin them in the lock file."""
    from bakery.backends import backend
    from bakery.operations.lock import relock

    settings = settings_of(stack)
    result = relock(backend(replace(settings, select=()) if every else settings), write=not check)
    for line in result.lines:
        sys.stdout.write(line + "\n")
    for problem in result.problems:
        say(str(problem))
    if result.problems or (check and result.changed):
        raise SystemExit(FAILED)
