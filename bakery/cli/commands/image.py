"""``bakery image``: the image that a family points at, for scripts."""

from enum import StrEnum
from typing import Annotated

import typer

from bakery.cli.console import print_json
from bakery.cli.options import DEFAULT_STACK, Channel, Project, Stack, backend_of, family_of


class Format(StrEnum):
    """What is printed."""

    NAME = "name"
    SELF_LINK = "self-link"
    JSON = "json"


def image(
    family: Annotated[str, typer.Argument(help="An image family.")],
    channel: Channel = "",
    stack: Stack = DEFAULT_STACK,
    project: Project = "",
    form: Annotated[Format, typer.Option("--format", help="What to print.")] = Format.NAME,
) -> None:
    """Print the image of a family or channel: its name, its self link (or file), or all that is known of it.

    With --project, that is the copy in this project. Fails if the family points at no image, or at no copy there.
    """
    from bakery.operations.image import image as look_up

    found = look_up(backend_of(stack), family_of(family, channel), project)
    if form is Format.JSON:
        print_json(found)
    else:
        print(found[form.value.replace("-", "_")])
