"""``library``, ``logs`` and ``prune``: what is there, what was said about it, and what may go."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer

from bakery.commands.shared import AsJson, Stack, print_json, settings_of, show
from bakery.console import say


def library(stack: Stack = "dev", as_json: AsJson = False) -> None:
    """The images that are there, what their tests said, and what each family points at."""
    from bakery.library import make
    from bakery.report.library import report

    found = report(make(settings_of(stack)))
    if as_json:
        print_json(found)
        return
    from bakery.report.library_table import render

    show(render(found))


def logs(
    image: Annotated[str, typer.Argument(help="An image's name, the start of it or of its digest, or a family.")],
    stack: Stack = "dev",
    paths_only: Annotated[bool, typer.Option("--paths", help="Only say where the logs are.")] = False,
) -> None:
    """The log of an image's bake, and where the files of its Fluid-Runs are."""
    from bakery.library.local import LocalLibrary
    from bakery.paths import StatePaths
    from bakery.report.logs import find

    settings = settings_of(stack)
    found = find(LocalLibrary(settings), StatePaths(settings.state), image)
    if found.bake and not paths_only:
        with found.bake.open("rb") as log:
            shutil.copyfileobj(log, sys.stdout.buffer)
        sys.stdout.flush()
    say(f"bake of {found.image}: {found.bake or 'no log here'}")
    for run in found.runs:
        say(f"Fluid-Run {run.run_id} of {run.started}: {run.verdict}{': ' + run.reason if run.reason else ''}")
        for file in run.files:
            say(f"  {file}")


def prune(
    stack: Stack = "dev",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete what was deprecated longer ago than the stack keeps images, and nothing that is in use."""
    from bakery.library.local import LocalLibrary
    from bakery.library.retention import prune as prune_library
    from bakery.survey import survey

    settings = settings_of(stack)
    decisions = survey(settings, library=False).decisions
    planned = {name for decision in decisions for name in (decision.image.name, decision.image.base.name)}
    done = prune_library(LocalLibrary(settings), settings.retention_days, planned=planned, dry_run=dry_run)
    for step in (*done.moved, *done.kept):
        sys.stdout.write(f"{step.image.name}: {step.to or 'kept'}: {step.why}\n")
    sys.stdout.write(f"{done.freed / 1e9:.1f} GB {'would be' if dry_run else 'are'} free\n")
