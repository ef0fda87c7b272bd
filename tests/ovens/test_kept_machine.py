"""The machine of a failed bake that is left up: its command line and the command that logs in."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakery.host import process
from bakery.ovens import kept_machine
from bakery.ovens.template import BakeMachine
from bakery.settings import Accelerator


def test_its_commands_bear_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = tmp_path / "a, b's"
    work.mkdir()
    machine = BakeMachine(work, work / "console", Accelerator.TCG, 1, 512, (4000, 4020))
    called: list[Sequence[str]] = []

    def output(command: Sequence[str]) -> str:
        called.append(command)
        (work / "machine.pid").write_text("7", encoding="ascii")
        return ""

    monkeypatch.setattr(process, "output", output)
    pid, login = kept_machine.boot(machine, work / "disk.qcow2", "packer")
    doubled = str(work).replace(",", ",,")
    drives = [word for word in called[0] if word.startswith("file=")]
    assert [drive.split(",format")[0] for drive in drives] == [f"file={doubled}/disk.qcow2", f"file={doubled}/seed.tar"]
    assert (pid, shlex.split(login)[:3]) == (7, ["ssh", "-i", str(machine.key)])
