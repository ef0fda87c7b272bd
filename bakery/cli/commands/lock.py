"""``bakery lock``: pin the external base images."""

import sys
from typing import Annotated

import typer

from bakery.cli.console import FAILED, say
from bakery.cli.options import DEFAULT_STACK, Every, Stack, backend_of


def lock(
    stack: Stack = DEFAULT_STACK,
    check: Annotated[bool, typer.Option("--check", help="Change nothing; fail if a newer base image exists.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the head of a request with new pins.")] = False,
    every: Every = False,
) -> None:
    """Look up the external base images and pin them in the lock file."""
    from bakery.operations.lock import relock, with_packages

    backend = backend_of(stack, every)
    result = relock(backend, write=not check)
    if markdown:
        from bakery.report.lock_markdown import render

        sys.stdout.write(render(with_packages(backend, result.newer)))
    else:
        for line in result.lines:
            print(line)
    for problem in result.problems:
        say(str(problem))
    if result.problems or (check and result.changed):
        raise SystemExit(FAILED)
