"""``bakery history``: who did what with a family, when and why."""

import sys
from typing import Annotated

import typer

from bakery.cli.console import print_json, say
from bakery.cli.options import DEFAULT_STACK, AsJson, Channel, Stack, backend_of, family_of


def history(
    family: Annotated[str, typer.Argument(help="An image family.")],
    channel: Channel = "",
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
) -> None:
    """Print who promoted, pinned, approved and revoked the images of a family, when, why, and at which commit."""
    from bakery.operations import history as operation
    from bakery.report import history as report

    name = family_of(family, channel)
    entries = operation.history(backend_of(stack), name)
    if as_json:
        print_json(report.to_json(name, entries))
    elif entries:
        sys.stdout.write(report.render(entries))
    else:
        say(f"nothing is recorded of a family {name}; see: bakery library")
