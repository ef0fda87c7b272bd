"""``bakery adopt``: take an image that was made elsewhere into the library."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Stack, backend_of


def adopt(
    source: Annotated[
        str,
        typer.Argument(help="A qcow2 or raw file; on Google Cloud an image: its name, or its path with the project."),
    ],
    family: Annotated[str, typer.Argument(help="The image family of the plan that gets the image.")],
    stack: Stack = DEFAULT_STACK,
) -> None:
    """Take an image that was made elsewhere into the library, as an untested image of a family.

    It is copied. Once it has passed the tests of the family's recipe, the family can be pinned to it.
    """
    from bakery.operations.adopt import adopt as operation

    image = operation(backend_of(stack), source, family)
    print(f"{image.name} was adopted; to test it: bakery test {image.name} --stack {stack}")
    print(f"to use it when it has passed: bakery promote {family} {image.name} --stack {stack}")
