"""``bakery report-failure``: stop the staged roll-out of an image."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Image, Stack, backend_of


def report_failure(
    image: Image,
    stack: Stack = DEFAULT_STACK,
    reason: Annotated[str, typer.Option(help="What failed, in a few words.", show_default=False)] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Let the roll-out continue.")] = False,
) -> None:
    """Report that an image failed in use: families that the setting rollout holds back do not get it.

    Families that point at it already stay there; `bakery rollback FAMILY` takes them back.
    """
    from bakery.operations import report_failure as operation

    name = operation.report_failure(backend_of(stack), image, "" if undo else operation.checked(reason))
    print(f"{name}: {'its roll-out continues' if undo else 'its roll-out is stopped'}; see: bakery plan")
