"""The ``bakery`` command: its commands stand in :mod:`bakery.cli.commands`, all heavy imports are inside of them."""

from __future__ import annotations

import sys

import typer

from bakery.cli.commands import machine, planning, report, shelf, tfvars, work
from bakery.cli.console import INTERRUPTED, ensure_standard_streams, exit_codes, say

app = typer.Typer(
    help="Bakes, proves and promotes the VM images of Slurm clusters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (
    *(planning.plan, work.bake, work.test, shelf.library, shelf.logs),
    *(report.report, tfvars.tfvars, machine.doctor, planning.lock, shelf.prune, machine.recover),
):
    app.command()(exit_codes(command))


@app.callback()
def _bakery() -> None:
    """Make the app a group of commands even if only one is registered."""


def _register_only(name: str = "") -> None:
    """Keep only the command that is called, if there is such a command: building the parsers of all takes a while."""
    called = [command for command in app.registered_commands if command.callback and command.callback.__name__ == name]
    app.registered_commands = called or app.registered_commands


def main() -> None:
    """Run the command line."""
    ensure_standard_streams()
    _register_only(*sys.argv[1:2])
    try:
        app()
    except KeyboardInterrupt:  # before a command began
        say("interrupted")
        sys.exit(INTERRUPTED)
