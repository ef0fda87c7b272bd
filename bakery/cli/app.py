"""The ``bakery`` command, with all commands of :mod:`bakery.cli.commands`."""

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from bakery import __version__
from bakery.cli import commands
from bakery.cli.console import INTERRUPTED, ensure_standard_streams, exit_codes, say
from bakery.cli.options import CONFIG_FILE


def make_app(called: str = "") -> typer.Typer:
    """Return the app with all commands, or only with ``called``: loading the others and their parsers takes a while."""
    app = typer.Typer(
        help="Bake, test and promote the VM images of Slurm clusters.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    names = sorted(file.stem for file in Path(commands.__path__[0]).glob("[a-z]*.py"))
    for name in [called] if called in names else names:
        app.command()(exit_codes(import_module(f"{commands.__name__}.{name}").__dict__[name]))
    app.callback()(_bakery)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"image-bakery {__version__}")
        raise typer.Exit


def _bakery(
    config_file: Annotated[
        str, typer.Option(help="Read the settings from this file, as pulumi's --config-file.", envvar=CONFIG_FILE)
    ] = "",
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Bake, test and promote the VM images of Slurm clusters."""
    if config_file:
        os.environ[CONFIG_FILE] = config_file


def main() -> None:
    """Run the command line."""
    ensure_standard_streams()
    called = sys.argv[1:2]
    try:
        make_app(*called)()
    except KeyboardInterrupt:  # before a command began
        say("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if called == ["plan"] and isinstance(end.code, int):
            _end_at_once(end.code)
        raise


def _end_at_once(code: int) -> None:
    """End the process without freeing its memory first, which takes a tenth of the time of a plan."""
    with suppress(OSError):  # then Python reports it at its own end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
