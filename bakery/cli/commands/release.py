"""``bakery release``: take a proven image of a stack into the library of another one."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Stack, Why, backend_of, show_change


def release(
    family: Annotated[str, typer.Argument(help="An image family of the plan of both stacks.")],
    to: Annotated[str, typer.Option("--to", help="The stack that gets the image.")],
    image: Annotated[
        str, typer.Argument(help="One of its images; without, the one that the family points at in --stack.")
    ] = "",
    stack: Stack = DEFAULT_STACK,
    why: Why = "",
) -> None:
    """Copy a proven image of one stack into the library of another, and pin the family to it there.

    Its parents, test results and verdicts travel with it. The next `pulumi up` of the other stack promotes it.
    """
    from bakery.operations.release import release as operation

    show_change(operation(backend_of(stack), backend_of(to), family, image, why), to)
