"""``bakery lock``: pin the external base images."""

import sys
from dataclasses import replace
from typing import Annotated

import typer

from bakery.cli.console import FAILED, say
from bakery.cli.options import DEFAULT_STACK, Every, Stack, settings_of


def lock(
    stack: Stack = DEFAULT_STACK,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if a newer base image exists.")] = False,
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
