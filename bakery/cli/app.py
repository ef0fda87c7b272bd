"""The ``bakery`` command, with all commands of :mod:`bakery.cli.commands`."""

import sys
from importlib import import_module
from pkgutil import iter_modules

import typer

from bakery.cli import commands
from bakery.cli.console import INTERRUPTED, ensure_standard_streams, exit_codes, say

app = typer.Typer(
    help="Bake, test and promote the VM images of Slurm clusters.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for module in iter_modules(commands.__path__):
    command = import_module(f"{commands.__name__}.{module.name}").__dict__[module.name]
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
