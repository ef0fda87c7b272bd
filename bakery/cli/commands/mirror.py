"""``bakery mirror``: what a stack fetches from other computers."""

import sys
from enum import Enum
from typing import Annotated

import typer

from bakery.cli.console import print_json
from bakery.cli.options import DEFAULT_STACK, AsJson, Stack, backend_of


class MirrorAction(str, Enum):  # noqa: UP042  typer's kind of enum
    """What to do."""

    LIST = "list"


def mirror(
    action: Annotated[MirrorAction, typer.Argument(help="list: print every address.", show_default=False)],
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
) -> None:
    """Print every address that the stack fetches from, with version and checksum where they are known."""
    from bakery.operations.mirror import addresses
    from bakery.report import mirror as report

    found = addresses(backend_of(stack))
    if as_json:
        print_json(report.to_json(stack, found))
    else:
        sys.stdout.write(report.render(found))
