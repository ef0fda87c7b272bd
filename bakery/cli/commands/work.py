"""``bake`` and ``test``: what an ``up`` does with an image, for one image and without the engine."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bakery.cli.commands.shared import DEFAULT_STACK, AsJson, Stack, print_json, settings_of, show
from bakery.cli.console import FAILED, INTERRUPTED, cancel_on_signal, say

if TYPE_CHECKING:
    from bakery.fluid_run.base import Cluster

LOOK_SECONDS = 0.5


def bake(
    families: Annotated[list[str], typer.Argument(help="Image families of the plan.", metavar="FAMILY...")],
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
) -> None:
    """Bake the images of these families and what they are baked from; adopts and joins what is there or running.

    An image stays a candidate: `pulumi up` tests it and puts it into its family.
    """
    from bakery.backends import backend
    from bakery.cli.commands.board import Board
    from bakery.operations.bake import bake_all, planned
    from bakery.report import bake as reports

    settings = settings_of(stack)
    images = planned(settings, families)
    with cancel_on_signal() as cancelled, Board(cancelled) as board:
        done = bake_all(
            images,
            backend(settings).oven(),
            lambda image: board.watch(image.family),
            lambda family: f"bakery bake {family} --stack {stack}",
        )
    if as_json:
        print_json(reports.to_json(done))
    else:
        sys.stdout.writelines(f"{line}\n" for line in reports.lines(done))
    for error in reports.failures(done):
        say(f"error: {error}")
    if cancelled.is_set():
        say("interrupted; nothing is lost, the same command goes on from here")
        raise SystemExit(INTERRUPTED)
    if any(one.bake is None for one in done):
        raise SystemExit(FAILED)


def test(
    image: Annotated[str, typer.Argument(help="An image's name, the start of it or of its digest, or a family.")],
    stack: Stack = DEFAULT_STACK,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the cluster up until Ctrl-C; says how to log in.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the tests of an image once more, store what came out, and show the jobs."""
    from bakery.backends import backend
    from bakery.cli.commands.board import Board
    from bakery.operations.test import retest
    from bakery.report.run_table import render, summary
    from bakery.results.json import to_json

    settings = settings_of(stack)
    with cancel_on_signal() as cancelled, Board(cancelled) as board, board.watch(image) as activity:

        def hold(cluster: Cluster) -> None:
            if cancelled.is_set():
                return
            activity.say("the cluster is kept up")
            for line in (*cluster.logins(), "the cluster is up; Ctrl-C ends it"):
                say(line)
            while not cancelled.wait(LOOK_SECONDS):
                pass

        done = retest(image, backend(settings), activity, hold if keep else None)
    if done.result is not None:
        if as_json:
            print_json(to_json(done.result))
        else:
            if done.result.jobs:
                show(render(done.result))
            sys.stdout.write(summary(done.result) + "\n")
    if done.error is not None:
        raise done.error
