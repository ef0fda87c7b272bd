"""``bakery rollback``: pin a family to an older image."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Channel, Stack, Why, backend_of, family_of, show_change


def rollback(
    family: Annotated[str, typer.Argument(help="An image family of the plan.")],
    to: Annotated[
        str, typer.Option(help="One of its images, or the start of its name or digest.", show_default=False)
    ] = "",
    channel: Channel = "",
    stack: Stack = DEFAULT_STACK,
    why: Why = "",
) -> None:
    """Pin a family to an older image in the stack's settings, and show what the next `pulumi up` does.

    The default is the newest image that has passed its tests and is older than the one that the family points at.
    Nothing else is changed; `bakery promote FAMILY` removes the pin.
    """
    from bakery.operations import promote as operation

    show_change(operation.roll_back(backend_of(stack), family_of(family, channel), to, why), stack)
