"""``bakery logs``: the logs of an image."""

import sys
from typing import Annotated

import typer

from bakery.cli.console import say
from bakery.cli.options import DEFAULT_STACK, Image, Stack, backend_of


def logs(
    image: Image,
    stack: Stack = DEFAULT_STACK,
    paths_only: Annotated[bool, typer.Option("--paths", help="Print only where the logs are.")] = False,
) -> None:
    """Print the log of an image's bake, and where the files of its Fluid-Runs are."""
    logged = backend_of(stack).logs(image)
    if logged.bake and not paths_only:
        sys.stdout.buffer.write(logged.read())
        sys.stdout.buffer.flush()
    say(f"bake of {logged.image}: {logged.bake or 'no log exists'}")
    for file in logged.kept:
        say(f"  {file}")
    for run in logged.runs:
        say(f"Fluid-Run {run.run_id} of {run.started}: {run.verdict}{': ' + run.reason if run.reason else ''}")
        for file in run.files:
            say(f"  {file}")
