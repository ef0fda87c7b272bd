"""``bakery approve``: release an image that waits for an approval."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Channel, Stack, Why, backend_of, family_of, show_change


def approve(
    family: Annotated[str, typer.Argument(help="An image family that a pattern of the setting approval matches.")],
    image: Annotated[
        str, typer.Argument(help="One of its images, or the start of its name or digest; default: that of its recipe.")
    ] = "",
    channel: Channel = "",
    stack: Stack = DEFAULT_STACK,
    why: Why = "",
) -> None:
    """Approve an image that has passed its tests in the stack's settings, and show what the next `pulumi up` does."""
    from bakery.operations import promote as operation

    show_change(operation.approve(backend_of(stack), family_of(family, channel), image, why), stack)
