"""``bakery tfvars``: the promoted images as variables of an rcc-tf configuration."""

from pathlib import Path
from typing import Annotated, Optional

import typer

from bakery.cli.options import DEFAULT_STACK, Project, Stack, settings_of


def tfvars(
    stack: Stack = DEFAULT_STACK,
    out: Annotated[
        Optional[Path],  # noqa: UP045  typer's types
        typer.Option(help="Write this file, e.g. images.auto.tfvars.json or images.auto.tfvars.", show_default=False),
    ] = None,
    cluster_name: Annotated[str, typer.Option(help="Set cluster_name as well.", show_default=False)] = "",
    zone: Annotated[str, typer.Option(help="Zone; default: the stack's first.", show_default=False)] = "",
    project: Project = "",
) -> None:
    """Print the images that the stack's families point at as variables of an rcc-tf configuration (JSON).

    With --project, they are the copies in this project. Needs no engine. Terraform reads a file *.auto.tfvars.json or
    *.auto.tfvars by itself.
    """
    from bakery.host.files import write_atomic
    from bakery.operations.tfvars import variables
    from bakery.report.rcc_tf import render

    found = variables(settings_of(stack), cluster_name, zone, project)
    text = render(found, as_json=out is None or out.suffix == ".json")
    if out is None:
        print(text, end="")
    else:
        write_atomic(out, text.encode())
