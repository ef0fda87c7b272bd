"""``bakery recover``: clear what killed processes left."""

import os

from bakery.cli.options import DEFAULT_STACK, Stack, checkout


def recover(stack: Stack = DEFAULT_STACK) -> None:
    """Clear what a killed engine, plugin or machine left. Prints nothing if there is nothing to clear.

    Fails while an engine works on the stack. `make up` runs this before each `pulumi up`.
    """
    from bakery.operations.recover import recover as clear

    for line in clear(checkout(), stack, os.environ.get("PULUMI_BACKEND_URL", "")):
        print(line)
