"""``bakery revoke``: take an image, and all that was baked from it, out of use."""

from typing import Annotated

import typer

from bakery.cli.options import DEFAULT_STACK, Image, Stack, backend_of


def revoke(
    image: Image,
    stack: Stack = DEFAULT_STACK,
    reason: Annotated[
        str, typer.Option(help="What is wrong with it; with --undo, why it is not.", show_default=False)
    ] = "",
    at: Annotated[str, typer.Option(help="From this time on (RFC 3339); default: now.", show_default=False)] = "",
    undo: Annotated[bool, typer.Option("--undo", help="Withdraw the revocation of this image.")] = False,
) -> None:
    """Revoke an image and all that was baked from it; families that point at these go back to proven images.

    The images become OBSOLETE and are never promoted or baked again: `bakery plan` says what to change. With --at, that
    begins at the given time, with the next `bakery revoke`, `bakery prune` or `pulumi up`.
    """
    from bakery.cli.console import fail
    from bakery.operations import revoke as operation
    from bakery.report.revoke import lines

    backend = backend_of(stack)
    if undo:
        for name in operation.undo(backend, image, reason):
            print(f"{name}: may be used again; the next `pulumi up` that wants it promotes it")
        return
    done = operation.revoke(backend, image, reason, at)
    for line in lines(done):
        print(line)
    fail(done.copies.problems)
