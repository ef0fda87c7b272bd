"""``bakery plan``: what would be baked and tested, and why."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from bakery.cli.console import WRONG_INPUT, coloured, print_json, say
from bakery.cli.options import CONFIG_FILE, DEFAULT_STACK, AsJson, Every, Stack, checkout, settings_of
from bakery.errors import InputError, Problem
from bakery.settings.cluster import ClusterSettings
from bakery.settings.files import find

if TYPE_CHECKING:
    from bakery.preview.snapshot import OpenLibrary
    from bakery.settings import Settings

Folder = Annotated[Optional[Path], typer.Option(help="Another folder than the stack's.", show_default=False)]  # noqa: UP045  typer's types


def plan(  # noqa: PLR0917  options, not positions
    stack: Stack = DEFAULT_STACK,
    packages: Folder = None,
    common: Folder = None,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")] = False,
    every: Every = False,
    library: Annotated[bool, typer.Option(help="Compare with the library; without it every image is new.")] = True,
    since: Annotated[str, typer.Option(help="Compare with the recipes of a git revision.", show_default=False)] = "",
    times: Annotated[
        Optional[Path],  # noqa: UP045  typer's types
        typer.Option(help="Output of `bakery library --json`, which says how long bakes took.", show_default=False),
    ] = None,
) -> None:
    """Show what would be baked and tested, and why. Needs no engine and no stack, and changes nothing."""
    from bakery.preview.plan_report import plan_report
    from bakery.report import plan as reports

    if since and (packages or common):
        raise InputError(
            [Problem("--since", 1, "compares the recipes of this checkout", "omit --packages and --common")]
        )
    if as_json and markdown:
        raise InputError([Problem("--markdown", 1, "can't be combined with --json", "choose one of the two")])
    settings = other_tree(settings_of(stack, every), packages, common)
    stored = _library_of(settings) if library else None
    own = packages is None and common is None
    project = find(checkout(), stack, os.environ.get(CONFIG_FILE, "")).project if own else ""
    # Neither another tree nor a package that the stack does not select needs a lock: its plan is still useful.
    locked, source = packages is None and not every, _source_of(settings)
    report = plan_report(settings, stored, locked=locked, since=since, project=project, source=source)
    if times:
        report = report._replace(times={**_times_of(times), **report.times})
    content = reports.to_json(report)
    wrong = any(problem["severity"] == "error" for problem in content["problems"])
    if as_json:
        print_json(content)
    elif markdown:
        from bakery.report.plan_markdown import render as as_comment

        sys.stdout.write(as_comment(content))
    else:
        from bakery.report.plan_table import render as as_table

        sys.stdout.write(as_table(content, colour=coloured()))
    if wrong or not (as_json or markdown):
        for problem in report.problems:
            say(str(problem))
    if wrong:
        raise SystemExit(WRONG_INPUT)


def _times_of(file: Path) -> Mapping[str, float]:
    import json

    from bakery.report.library import bake_times

    try:
        return bake_times(json.loads(file.read_bytes()))
    except (OSError, ValueError, LookupError, TypeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not the output of bakery library --json"
        raise InputError([Problem(str(file), 1, f"can't be read: {why}", "omit --times, or write it again")]) from error


def _library_of(settings: Settings) -> OpenLibrary:
    from bakery.backends import backend  # not needed by a plan without the library

    return backend(settings).existing_library


def _source_of(settings: Settings) -> OpenLibrary | None:
    if settings.source_stack is None:
        return None
    from bakery.backends.source import source_library

    return source_library(settings)


def other_tree(settings: Settings, packages: Path | None, common: Path | None) -> Settings:
    """Return the settings with another tree's folders and all of its packages selected."""
    if packages is None and common is None:
        return settings
    folder = packages.resolve() if packages else settings.packages
    beside = next((path for path in (folder / "common", folder.parent / "common") if path.is_dir()), settings.common)
    common = common.resolve() if common else beside
    settings = replace(settings, pins={}, approval=(), channels={}, rollout={}, cluster=ClusterSettings())
    settings = replace(settings, from_stack="", source_stack=None)
    return replace(settings, packages=folder, common=common, select=(), shipped=())
