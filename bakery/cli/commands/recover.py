"""``bakery recover``: clear what killed processes left."""

import os
from typing import Annotated

import typer

from bakery.cli.options import CONFIG_FILE, DEFAULT_STACK, Stack, backend_of, checkout
from bakery.errors import BakeryError
from bakery.settings.files import find


def recover(
    stack: Stack = DEFAULT_STACK,
    destroyed: Annotated[
        bool, typer.Option("--destroyed", help="Only fail if the stack still has resources, after `pulumi destroy`.")
    ] = False,
    family: Annotated[
        str,
        typer.Option(
            "--withdraw", help="Only give back this family, which is not in the stack's state.", show_default=False
        ),
    ] = "",
) -> None:
    """Clear what a killed engine, plugin or machine left. Prints nothing if there is nothing to clear.

    Fails while an engine works on the stack. `make up` runs this before each `pulumi up`.
    """
    from bakery.operations import recover as operation

    if family:
        files = find(checkout(), stack, os.environ.get(CONFIG_FILE, ""))
        known = operation.promotions(files, os.environ.get("PULUMI_BACKEND_URL", ""))
        print(operation.withdraw(backend_of(stack), f"{files.project}/{files.stack}", family, known))
    elif not destroyed:
        for line in operation.recover(
            checkout(), stack, os.environ.get("PULUMI_BACKEND_URL", ""), os.environ.get(CONFIG_FILE, "")
        ):
            print(line)
    elif count := operation.left(checkout(), stack):
        raise BakeryError(f"{count} resources are left in stack {stack}", hint="run `make destroy` again")
