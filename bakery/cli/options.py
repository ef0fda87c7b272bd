"""Options that commands share, and the stack and checkout they select."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bakery.backends.base import Backend
    from bakery.operations.promote import Change
    from bakery.settings import Settings

DEFAULT_STACK = "dev"
CONFIG_FILE = "BAKERY_CONFIG_FILE"
Stack = Annotated[str, typer.Option("--stack", help="The stack whose settings are used.", envvar="BAKERY_STACK")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON; its schema is in bakery/report/schemas.")]
Every = Annotated[bool, typer.Option("--all", help="All packages, also those that the stack does not select.")]
Channel = Annotated[str, typer.Option("--channel", help="A channel of the family.", show_default=False)]
Why = Annotated[str, typer.Option("--why", help="The reason, for: bakery history.", show_default=False)]
Project = Annotated[
    str, typer.Option("--project", help="A project with copies, see google.copies.", show_default=False)
]
Image = Annotated[str, typer.Argument(help="An image's name, the start of it or of its digest, or a family.")]


def checkout() -> Path:
    """Return the nearest parent folder with a Pulumi.yaml, else the checkout of this program, else this folder.

    The first rule is the engine's.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    own = Path(__file__).resolve().parents[2]
    return own if (own / "Pulumi.yaml").is_file() else here


def settings_of(stack: str, every: bool = False) -> Settings:
    """Return the stack's settings, with ``every`` package selected. Raises InputError for an unknown stack.

    The default stack needs no file.
    """
    from dataclasses import replace

    from bakery.errors import InputError, Problem
    from bakery.host import network
    from bakery.host.engine import stack_settings

    settings = stack_settings(checkout(), stack, os.environ.get(CONFIG_FILE, ""))
    network.use(settings.network)
    file = settings.source
    if file and not file.exists() and (settings.stack != DEFAULT_STACK or os.environ.get(CONFIG_FILE)):
        known = ", ".join(sorted(one.name.split(".")[1] for one in file.parent.glob("Pulumi.*.yaml"))) or "none"
        raise InputError([Problem(file.name, 1, "does not exist", f"use another --stack; known: {known}")])
    return replace(settings, select=()) if every else settings


def family_of(family: str, channel: str) -> str:
    """Return the family that a channel of the family is, and the family itself without a channel."""
    from bakery.preview.model import channel_family

    return channel_family(family, channel) if channel else family


def show_change(change: Change, stack: str) -> None:
    """Print what a command changed in the stack's file, and the plan of the family with it."""
    from bakery.cli.console import say
    from bakery.report import plan as reports
    from bakery.report.plan_table import render

    print(render(reports.to_json(change.report)), end="")
    for line in (*map(str, change.report.problems), *change.notes, f"to do this: pulumi up --stack {stack}"):
        say(line)


def backend_of(stack: str, every: bool = False) -> Backend:
    """Return the stack's back end. The parameters and errors are those of :func:`settings_of`."""
    from bakery.backends import backend

    return backend(settings_of(stack, every))
