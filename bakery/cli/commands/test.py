"""``bakery test``: test an image again, without the engine."""

from collections.abc import Sequence
from typing import Annotated

import typer

from bakery.cli.console import cancel_on_signal, print_json, say, show, wait_for_user
from bakery.cli.options import DEFAULT_STACK, AsJson, Image, Stack, backend_of


def test(
    image: Image,
    stack: Stack = DEFAULT_STACK,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep the (last) cluster up until Ctrl-C, at most two hours; say how to log in."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the tests of an image again, store the results, and print the jobs.

    If its fluidrun.yaml says `upgrade: true`, a cluster of the family's present image takes it node by node, too.
    """
    from bakery.cli.board import Board
    from bakery.operations.logins import OPEN_SECONDS
    from bakery.operations.test import retest
    from bakery.report.run_table import render, summary
    from bakery.results.json import to_json

    backend = backend_of(stack)
    with cancel_on_signal() as cancelled, Board(cancelled) as board, board.watch(image) as activity:

        def hold(logins: Sequence[str]) -> None:
            if not cancelled.is_set():
                activity.say("the cluster is kept up")
                for line in logins:
                    say(line)
                wait_for_user(cancelled, OPEN_SECONDS, "the cluster")

        done = retest(image, backend, activity, hold if keep else None)
    if done.result is not None:
        if as_json:
            print_json(to_json(done.result))
        else:
            if done.result.jobs:
                show(render(done.result))
            print(summary(done.result))
    if done.error is not None:
        raise done.error
