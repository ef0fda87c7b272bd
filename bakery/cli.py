"""The ``bakery`` command. Thin: it reads settings, calls one function and prints; all heavy imports are inside."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bakery.console import FAILED, INTERRUPTED, WRONG_INPUT, guarded, say

if TYPE_CHECKING:
    from bakery.settings import Settings

app = typer.Typer(
    help="Bakes, proves and promotes the VM images of Slurm clusters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
Stack = Annotated[str, typer.Option("--stack", help="The stack whose settings count.", envvar="BAKERY_STACK")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; its schema is in bakery/report/schemas.")]
Folder = Annotated[Optional[Path], typer.Option(help="Another folder than the stack's.", show_default=False)]  # noqa: UP045  typer's types


def checkout() -> Path:
    """The checkout: the nearest folder upwards with a Pulumi.yaml, else the one this program lies in, else here."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file() and (folder / "bakery").is_dir():
            return folder
    own = Path(__file__).resolve().parents[1]
    return own if (own / "Pulumi.yaml").is_file() else here


def settings_of(stack: str) -> Settings:
    """The stack's settings."""
    from bakery.settings import from_file

    return from_file(checkout(), stack)


def print_json(value: Any) -> None:
    """JSON for programs."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def show(renderable: Any) -> None:
    """Something of rich; whole lines when nobody looks at a terminal."""
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200
    console.print(renderable)


def other_tree(settings: Settings, packages: Path | None, common: Path | None) -> Settings:
    """The settings with another tree's folders, all of its packages selected."""
    if packages is None and common is None:
        return settings
    folder = packages.resolve() if packages else settings.packages
    beside = next((path for path in (folder / "common", folder.parent / "common") if path.is_dir()), settings.common)
    return replace(settings, packages=folder, common=common.resolve() if common else beside, select=())


@app.command()
@guarded
def plan(  # noqa: PLR0917  options, not positions
    stack: Stack = "dev",
    packages: Folder = None,
    common: Folder = None,
    as_json: AsJson = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a pull request's comment.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All packages, also those the stack does not select.")] = False,
    library: Annotated[bool, typer.Option(help="Compare with the library; without it everything is new.")] = True,
) -> None:
    """What would be baked, and why. Needs no engine and no stack; changes nothing."""
    from bakery.report import plan as reports
    from bakery.survey import survey

    settings = other_tree(settings_of(stack), packages, common)
    settings = replace(settings, select=()) if every else settings
    # Neither another tree nor a package that the stack leaves out needs a lock: an unlocked base hides no plan.
    report = survey(settings, locked=packages is None and not every, library=library)
    found = reports.to_json(report)
    if as_json:
        print_json(found)
    elif markdown:
        from bakery.report.plan_markdown import render as as_comment

        sys.stdout.write(as_comment(found))
    else:
        from bakery.report.plan_table import render as as_table

        show(as_table(found))
    if not as_json and not markdown:
        for problem in report.problems:
            say(str(problem))
    if any(problem["severity"] == "error" for problem in found["problems"]):
        if as_json or markdown:
            for problem in report.problems:
                say(str(problem))
        raise SystemExit(WRONG_INPUT)


@app.command("library")
@guarded
def show_library(stack: Stack = "dev", as_json: AsJson = False) -> None:
    """The images that are there, what their tests said, and what each family points at."""
    from bakery.library import make
    from bakery.report.library import report

    found = report(make(settings_of(stack)))
    if as_json:
        print_json(found)
        return
    from bakery.report.library_table import render

    show(render(found))


@app.command()
@guarded
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
            while chunk := log.read(1 << 16):
                sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
    say(f"bake of {found.image}: {found.bake or 'no log here'}")
    for run in found.runs:
        say(f"Fluid-Run {run.run_id} of {run.started}: {run.verdict}{': ' + run.reason if run.reason else ''}")
        for file in run.files:
            say(f"  {file}")


@app.command()
@guarded
def doctor(stack: Stack = "dev", as_json: AsJson = False) -> None:
    """What this machine lacks to bake and test, and how to get it."""
    from bakery.doctor import Condition, checks

    found = checks(settings_of(stack))
    if as_json:
        print_json([check.to_json() for check in found])
    else:
        from bakery.report.doctor_table import render

        show(render(found))
    if any(check.condition is Condition.MISSING for check in found):
        raise SystemExit(FAILED)


@app.command()
@guarded
def lock(
    stack: Stack = "dev",
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail when there is a newer base.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All packages, also those the stack does not select.")] = False,
) -> None:
    """Look up the external base images and pin them in the lock file."""
    from bakery.relock import relock

    settings = settings_of(stack)
    result = relock(replace(settings, select=()) if every else settings, write=not check)
    for line in result.lines:
        sys.stdout.write(line + "\n")
    for problem in result.problems:
        say(str(problem))
    if result.problems or (check and result.changed):
        raise SystemExit(FAILED)


@app.command()
@guarded
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


@app.command()
@guarded
def recover(stack: Stack = "dev") -> None:
    """Clear what a killed engine, plugin or machine left over; silent when nothing is."""
    from bakery import recover as recovery

    for line in recovery.recover(checkout(), stack, os.environ.get("PULUMI_BACKEND_URL", "")):
        sys.stdout.write(line + "\n")


def main() -> None:
    """Run the command line."""
    try:
        app()
    except KeyboardInterrupt:  # before a command began
        say("interrupted")
        sys.exit(INTERRUPTED)
