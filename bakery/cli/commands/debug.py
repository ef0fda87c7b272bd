"""``bakery debug``: look into the machine of a failed bake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bakery.cli.console import FAILED, cancel_on_signal, say, wait_for_user
from bakery.cli.options import DEFAULT_STACK, Stack, backend_of
from bakery.errors import BakeFailed, BakeryError

if TYPE_CHECKING:
    from bakery.backends.base import FailedMachine
    from bakery.operations.debug import Debugging
    from bakery.progress.activity import Activity


def debug(  # noqa: PLR0917  options, not positions
    image: Annotated[str, typer.Argument(help="A family, or an image of it, whose bake failed.")],
    stack: Stack = DEFAULT_STACK,
    step: Annotated[
        str, typer.Option("--from", help="Run the recipe in the machine from this step on.", show_default=False)
    ] = "",
    stop: Annotated[
        str, typer.Option("--break-before", help="Bake again, and stop before this step.", show_default=False)
    ] = "",
    hours: Annotated[float, typer.Option("--hours", help="How long the machine may run.", min=0.1, max=24)] = 2,
    login: Annotated[
        bool, typer.Option("--login/--no-login", help="Open a shell in this terminal; else print how to.")
    ] = True,
) -> None:
    """Open a shell of root in the machine of a failed bake, with the files and variables of its recipe.

    Without such a machine, the image is baked again. It ends with the shell, or when its time is over; one that a bake
    with local.keepFailed left up stays. After a kill, `bakery recover` ends it; Compute Engine does at its deadline.
    """
    from bakery.cli.board import Board
    from bakery.operations.debug import debugging
    from bakery.operations.logins import can_log_in, lines, log_in

    seconds = int(hours * 3600)
    wanted = debugging(backend_of(stack), image, seconds, stop)
    with cancel_on_signal() as cancelled:
        with Board(cancelled) as board:
            found = wanted.failed(lambda one: board.watch(one.family), f"bakery debug {image} --stack {stack}")
        if found is None:
            say(f"the bake of {wanted.order.name} succeeded: nothing to debug; see: bakery boot {wanted.order.name}")
            return
        try:
            if found.error:
                say(found.error.message if found.stopped else f"error: {found.error}")
            if found.machine.cost:
                say(found.machine.cost)
            with Board(cancelled) as board, board.watch(found.machine.image) as activity:
                if found.made or not step:
                    found.machine.prepare(wanted.order, activity)
                left = None if found.stopped else found.error
                left = _run(wanted, found.machine, step, activity) if step else left
            if step and not found.made:  # whoever made the machine looks into it
                return _end(left)
            shell = found.login
            if login and can_log_in([shell]):
                say(f"logging in; exit leaves the shell{', and ends the machine' if found.made else ''}")
                log_in(shell, cancelled, seconds)
            else:
                for line in lines([shell]):
                    say(line)
                if found.made:
                    wait_for_user(cancelled, seconds, f"the machine of {found.machine.image}")
        finally:
            if found.made:
                found.machine.end()
    _end(left)


def _run(wanted: Debugging, machine: FailedMachine, step: str, activity: Activity) -> BakeryError | None:
    """Run the recipe from a step on, and say what came of it; return the error of a step."""
    try:
        ran = wanted.run(machine, step, activity)
    except BakeFailed as error:
        say(f"error: {error}")
        return error
    say(f"passed: {', '.join(ran)}; now bake the image: bakery bake {wanted.family}")
    return None


def _end(error: BakeryError | None) -> None:
    if error:
        raise SystemExit(FAILED)
