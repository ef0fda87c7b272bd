"""The ``bakery`` command, with all commands of :mod:`bakery.cli.commands`.

``bakery --help`` is read from ``help.txt``, since making it loads typer and every command.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    import typer

WIDTH = 80  # columns of help.txt; typer's help is never wider


def make_app(called: str = "") -> "typer.Typer":
    """Return the app with all commands, or only with ``called``: loading the others and their parsers takes a while."""
    from importlib import import_module

    import typer

    from bakery.cli import commands
    from bakery.cli.console import exit_codes
    from bakery.cli.options import CONFIG_FILE

    def show_version(wanted: bool) -> None:
        if wanted:
            from bakery.version import __version__

            typer.echo(f"image-bakery {__version__}")
            raise typer.Exit

    def bakery(
        config_file: Annotated[
            str, typer.Option(help="Read the settings from this file, as pulumi's --config-file.", envvar=CONFIG_FILE)
        ] = "",
        _version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
        ] = False,
    ) -> None:
        """Bake, test and promote the VM images of Slurm clusters."""
        if config_file:
            os.environ[CONFIG_FILE] = config_file

    app = typer.Typer(
        help="Bake, test and promote the VM images of Slurm clusters.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    folder = Path(commands.__path__[0])
    is_command = called.isidentifier() and (folder / f"{called}.py").is_file()
    for name in [called] if is_command else sorted(file.stem for file in folder.glob("[a-z]*.py")):
        app.command()(exit_codes(import_module(f"{commands.__name__}.{name}").__dict__[name]))
    app.callback()(bakery)
    return app


def main() -> None:
    """Run the command line."""
    try:
        if sys.argv[1:] == ["--help"] and _columns() >= WIDTH:
            print(Path(__file__).with_name("help.txt").read_text(encoding="utf-8"), end="", flush=True)
        else:
            _run(sys.argv[1:2])
    except OSError as error:  # while help is printed: commands handle their own
        from bakery.cli.console import FAILED, discard_stdout, say

        discard_stdout()
        say(f"error: output: {error.strerror or error}")
        sys.exit(FAILED)


def _run(called: list[str]) -> None:
    from bakery.cli.console import INTERRUPTED, ensure_standard_streams, say

    ensure_standard_streams()
    try:
        make_app(*called)()
    except KeyboardInterrupt:  # before a command began
        say("interrupted")
        sys.exit(INTERRUPTED)
    except SystemExit as end:
        if called == ["plan"] and isinstance(end.code, int):
            _end_at_once(end.code)
        raise


def _columns() -> int:
    """Return the terminal's width; 0 if COLUMNS overrides it."""
    if "COLUMNS" in os.environ:
        return 0
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except (AttributeError, OSError, ValueError):  # closed, or not a terminal
        return WIDTH


def _end_at_once(code: int) -> None:
    """End the process without freeing its memory first, which takes a tenth of the time of a plan."""
    with suppress(OSError):  # then Python reports it at its own end
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
