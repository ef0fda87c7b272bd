"""``library``, ``logs`` and ``prune``: what is there, what was said about it, and what may go."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from bakery.cli.commands.shared import DEFAULT_STACK, AsJson, Stack, print_json, settings_of, show
from bakery.cli.console import say


def library(stack: Stack = DEFAULT_STACK, as_json: AsJson = False) -> None:
    """The images that are there, what their tests said, and what each family points at."""
    from bakery.backends import backend
    from bakery.report.library import report

    found = report(backend(settings_of(stack)).library())
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
    from bakery.backends import backend

    found = backend(settings_of(stack)).logs(image)
    if found.bake and not paths_only:
        sys.stdout.flush()
        sys.stdout.buffer.write(found.read())
        sys.stdout.buffer.flush()
    say(f"bake of {found.image}: {found.bake or 'no log exists'}")
    for file in found.kept:
        say(f"  {file}")
    for run in found.runs:
        say(f"Fluid-Run {run.run_id} of {run.started}: {run.verdict}{': ' + run.reason if run.reason else ''}")
        for file in run.files:
            say(f"  {file}")


def prune(
    stack: Stack = DEFAULT_STACK,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
) -> None:
    """Delete what was deprecated longer ago than the stack keeps images, and nothing that is in use."""
    from bakery.backends import backend
    from bakery.errors import InputError, errors_among
    from bakery.library.retention import prune as prune_library
    from bakery.preview.plan_report import plan_report

    settings = settings_of(stack)
    plan = plan_report(settings)
    if errors_among(plan.problems):
        raise InputError(plan.problems)  # what a recipe wants that can't be planned is not known, and might go
    planned = {name for decision in plan.decisions for name in (decision.image.name, decision.image.base.name)}
    done = prune_library(backend(settings).library(), settings.retention_days, planned=planned, dry_run=dry_run)
    for step in (*done.moved, *done.kept):
        sys.stdout.write(f"{step.image.name}: {step.to or 'kept'}: {step.why}\n")
    sys.stdout.write(f"{done.freed / 1e9:.1f} GB {'would be' if dry_run else 'are'} free\n")
