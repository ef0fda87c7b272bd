"""``bakery --help`` prints a file; these hold it equal to what typer says of all commands."""

import subprocess
import sys
from pathlib import Path

import pytest

from bakery.cli import app

FILE = Path(app.__file__).with_name("help.txt")
HELP = "import sys; sys.argv[0] = 'bakery'; from bakery.cli.app import main; main()"
COMMAND = [sys.executable, "-c", HELP, "--help"]


@pytest.mark.parametrize("columns", [None, 80, 60])
def test_the_help_has_the_width_of_the_terminal(columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    printed = subprocess.run(COMMAND, capture_output=True, text=True, check=True).stdout
    assert (printed == FILE.read_text()) == (columns != 60), "run: COLUMNS=80 bakery --help > bakery/cli/help.txt"
    assert 40 < max(map(len, printed.splitlines())) <= (columns or app.WIDTH)


@pytest.mark.parametrize("columns", [None, 60])
def test_help_on_a_full_disk_is_an_error_of_one_line(columns: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", str(columns))
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(COMMAND, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: output: No space left on device\n")
