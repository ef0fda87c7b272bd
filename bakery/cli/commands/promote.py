"""``bakery promote``: pin a family to an image, or let it follow its recipe again."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Channel, Stack, Why, backend_of, family_of, show_change


def promote(
    family: Annotated[str, typer.Argument(help="An image family of the plan.")],
    image: Annotated[
        str, typer.Argument(help="One of its images, or the start of its name or digest; without, the pin is removed.")
    ] = "",
    channel: Channel = "",
    stack: Stack = DEFAULT_STACK,
    why: Why = "",
) -> None:
    """Pin a family to one of its proven images in the stack's settings, and show what the next `pulumi up` does.

    Without an image the pin is removed, and the family follows its recipe again. Nothing else is changed.
    """
    from bakery.operations import promote as operation

    show_change(operation.promote(backend_of(stack), family_of(family, channel), image, why), stack)
