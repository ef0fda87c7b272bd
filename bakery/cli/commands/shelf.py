"""``library``, ``logs`` and ``prune``: what is there, what was said about it, and what may go."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bakery.cli.commands.shared import DEFAULT_STACK, AsJson, Stack, print_json, settings_of, show
from bakery.cli.console import say

if TYPE_CHECKING:
    from bakery.settings import Settings


def library(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
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
    stack: Stack = DEFAULT_STACK,
    paths_only: Annotated[bool, typer.Option("--paths", help="Only say where the logs are.")] = False,
) -> None:
    """The log of an image's bake, and where the files of its Fluid-Runs are."""
    from bakery.settings import OvenKind

    settings = settings_of(stack)
    (cloud_logs if settings.oven is OvenKind.CLOUD_BUILD else local_logs)(settings, image, paths_only)


def local_logs(settings: Settings, image: str, paths_only: bool) -> None:
    """The logs on this machine."""
    from bakery.library.local.library import LocalLibrary
    from bakery.operations.logs import find
    from bakery.paths import StatePaths

    found = find(LocalLibrary(settings), StatePaths(settings.state), image)
    if found.bake and not paths_only:
        with found.bake.open("rb") as log:
            shutil.copyfileobj(log, sys.stdout.buffer)
        sys.stdout.flush()
    say(f"bake of {found.image}: {found.bake or 'no log here'}")
    for file in found.kept:
        say(f"  {file}")
    for run in found.runs:
        say_run(run.run_id, run.started, run.verdict, run.reason)
        for file in run.files:
            say(f"  {file}")


def cloud_logs(settings: Settings, image: str, paths_only: bool) -> None:
    """The logs on Google Cloud."""
    from bakery.operations.cloud_logs import find

    found = find(settings, image)
    if not paths_only:
        sys.stdout.write(found.text)
        sys.stdout.flush()
    say(f"bake of {found.image}: {found.url or 'no build of it is known any more'}")
    for file in found.kept:
        say(f"  {file}")
    for run in found.runs:
        say_run(run.run_id, run.started, run.verdict, run.reason)
        say(f"  {found.results}{run.run_id}.json")


def say_run(run_id: str, started: str, verdict: str, reason: str) -> None:
    """A Fluid-Run in one line."""
    say(f"Fluid-Run {run_id} of {started}: {verdict}{': ' + reason if reason else ''}")


def prune(
    stack: Stack = DEFAULT_STACK,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete what was deprecated longer ago than the stack keeps images, and nothing that is in use."""
    from bakery.errors import InputError, errors_among
    from bakery.library import make
    from bakery.library.retention import prune as prune_library
    from bakery.preview.plan_report import plan_report

    settings = settings_of(stack)
    plan = plan_report(settings, library=False)
    if errors_among(plan.problems):
        raise InputError(plan.problems)  # what a recipe wants that can't be planned is not known, and might go
    planned = {name for decision in plan.decisions for name in (decision.image.name, decision.image.base.name)}
    done = prune_library(make(settings), settings.retention_days, planned=planned, dry_run=dry_run)
    for step in (*done.moved, *done.kept):
        sys.stdout.write(f"{step.image.name}: {step.to or 'kept'}: {step.why}\n")
    sys.stdout.write(f"{done.freed / 1e9:.1f} GB {'would be' if dry_run else 'are'} free\n")
