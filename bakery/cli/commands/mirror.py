"""``bakery mirror``: what a stack fetches from other computers."""

import shlex
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from bakery.backends.base import Backend
from bakery.cli.console import FAILED, cancel_on_signal, print_json, say
from bakery.cli.options import DEFAULT_STACK, AsJson, Stack, backend_of
from bakery.errors import InputError, Problem


class MirrorAction(str, Enum):  # noqa: UP042  typer's kind of enum
    """What to do."""

    LIST = "list"
    FILL = "fill"
    ENV = "env"


HELP = "list: print every address; fill: download the files into DIR; env: print variables for set-up."


def mirror(
    action: Annotated[MirrorAction, typer.Argument(help=HELP, show_default=False)],
    folder: Annotated[Optional[Path], typer.Argument(metavar="DIR", show_default=False)] = None,  # noqa: UP045  typer's types
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
) -> None:
    """Print every address that the stack fetches from, or fetch them."""
    from bakery.operations.mirror import addresses, environment
    from bakery.report import mirror as report

    if (folder is not None) is not (action is MirrorAction.FILL):
        hint = "write: bakery mirror fill DIR, bakery mirror list, or bakery mirror env"
        raise InputError([Problem("DIR", 1, "is required for fill, and not allowed otherwise", hint)])
    backend = backend_of(stack)
    if action is MirrorAction.ENV:
        for name, value in environment(backend.settings).items():
            print(f"export {name}={shlex.quote(value)}")
        return
    if folder is not None:
        _fill(backend, folder)
        return
    found = addresses(backend)
    if as_json:
        print_json(report.to_json(stack, found))
    else:
        sys.stdout.write(report.render(found))


def _fill(backend: Backend, folder: Path) -> None:
    """Fill the folder, and print its files, what was not fetched and what failed."""
    from bakery.operations.mirror_fill import fill
    from bakery.progress.activity import Activity

    last = ""

    def print_phase(phase: str) -> None:
        nonlocal last
        what = phase.partition(":")[0]
        if what != last:
            last = what
            say(what)

    with cancel_on_signal() as cancelled:
        done = fill(backend, folder.resolve(), Activity(print_phase, cancelled))
    for line in (*done.files, *done.left):
        print(line)
    for problem in done.problems:
        say(str(problem))
    if done.problems:
        raise SystemExit(FAILED)
