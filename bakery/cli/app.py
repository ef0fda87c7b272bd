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


def main() -> None:
    """Run the command line."""
    ensure_standard_streams()
    try:
        app()
    except KeyboardInterrupt:  # before a command began
        say("interrupted")
        sys.exit(INTERRUPTED)
