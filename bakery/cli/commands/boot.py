"""``bakery boot``: look into an image."""

from contextlib import ExitStack
from typing import Annotated

import typer

from bakery.cli.console import cancel_on_signal, say, wait_for_user
from bakery.cli.options import DEFAULT_STACK, Image, Stack, backend_of


def boot(
    image: Image,
    stack: Stack = DEFAULT_STACK,
    hours: Annotated[float, typer.Option("--hours", help="How long the machine may run.", min=0.1, max=24)] = 2,
    machine_type: Annotated[
        str, typer.Option("--machine-type", help="On Google Cloud: its machine type.", show_default=False)
    ] = "",
    login: Annotated[
        bool, typer.Option("--login/--no-login", help="Open a shell in this terminal; else print how to.")
    ] = True,
) -> None:
    """Boot an image as a machine with Slurm, and log in to it.

    The image is not changed and no result is recorded. The machine is deleted when the shell ends, at Ctrl-C, or when
    its time is over; on Google Cloud also if this command was killed.
    """
    from bakery.cli.board import Board
    from bakery.operations.boot import booted
    from bakery.operations.logins import can_log_in, lines, log_in

    backend, seconds = backend_of(stack), int(hours * 3600)
    with cancel_on_signal() as cancelled, ExitStack() as until_the_end:
        with Board(cancelled) as board, board.watch(image) as activity:
            up = until_the_end.enter_context(booted(image, backend, activity, seconds, machine_type))
        if up.problem:
            say(f"the machine runs, but not its Slurm: {up.problem}")
        if login and can_log_in(up.logins):
            first = up.logins[0]
            say(f"logging in to {up.image}; {first.leave} leaves the shell, and ends the machine")
            log_in(first, cancelled, seconds)
        else:
            for line in lines(up.logins):
                say(line)
            wait_for_user(cancelled, seconds, f"a machine of {up.image}")
