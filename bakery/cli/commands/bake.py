"""``bakery bake``: bake images without the engine."""

from typing import Annotated

import typer

from bakery.cli.console import FAILED, INTERRUPTED, cancel_on_signal, print_json, say
from bakery.cli.options import DEFAULT_STACK, AsJson, Stack, backend_of


def bake(
    families: Annotated[list[str], typer.Argument(help="Image families of the plan.", metavar="FAMILY...")],
    stack: Stack = DEFAULT_STACK,
    as_json: AsJson = False,
    no_layers: Annotated[bool, typer.Option("--no-layers", help="Neither start from a layer nor save one.")] = False,
) -> None:
    """Bake the images of these families and the images they are based on.

    Existing images are adopted and running bakes are joined. A baked image is a candidate: `pulumi up` tests it and
    promotes it into its family.
    """
    from dataclasses import replace

    from bakery.cli.board import Board
    from bakery.operations.bake import bake_all, planned, refuse_revoked
    from bakery.report import bake as reports

    backend = backend_of(stack)
    images = planned(backend.settings, families)
    images = tuple(replace(image, layers=False) for image in images) if no_layers else images
    refuse_revoked(backend.existing_library(), images)
    with cancel_on_signal() as cancelled, Board(cancelled) as board:
        done = bake_all(
            images,
            backend.oven(),
            lambda image: board.watch(image.family),
            lambda family: f"bakery bake {family} --stack {stack}",
        )
    if as_json:
        print_json(reports.to_json(done))
    else:
        for line in reports.lines(done):
            print(line)
    for error in reports.failures(done):
        say(f"error: {error}")
    if cancelled.is_set():
        say("interrupted; nothing is lost, the same command continues from here")
        raise SystemExit(INTERRUPTED)
    if any(one.bake is None for one in done):
        raise SystemExit(FAILED)
