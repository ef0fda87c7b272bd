"""``bakery library``: the images of the library."""

import sys
from typing import Annotated

import typer

from bakery.cli.console import FAILED, coloured, print_json, say
from bakery.cli.options import DEFAULT_STACK, AsJson, Stack, backend_of


def library(
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read all files; fail if one is damaged.")] = False,
) -> None:
    """Print the existing images, the verdicts of their tests, and the image that each family points at."""
    from bakery.report.library import overview, report

    backend = backend_of(stack)
    if as_json:
        print_json(report(backend.library()))
    else:
        from bakery.report.library_table import render

        sys.stdout.write(render(overview(backend.library()), colour=coloured()))
    for line in (damaged := backend.damaged(contents=verify)):
        say(f"warning: {line}")
    if verify and damaged:
        raise SystemExit(FAILED)
