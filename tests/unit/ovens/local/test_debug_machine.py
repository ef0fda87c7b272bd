"""The machine of a failed bake that is left up: its command line and the command that logs in."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakery.errors import BakeFailed, InfrastructureFailed
from bakery.host import process
from bakery.ovens.local import debug_machine, scratch
from bakery.ovens.local.oven import LocalOven
from bakery.ovens.local.template import BakeMachine, Rendering
from bakery.settings import Accelerator, parse


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
    pid, login = debug_machine.boot(machine, work / "disk.qcow2", "packer")
    doubled = str(work).replace(",", ",,")
    drives = [word for word in called[0] if word.startswith("file=")]
    assert [drive.split(",format")[0] for drive in drives] == [f"file={doubled}/disk.qcow2", f"file={doubled}/seed.tar"]
    assert (pid, shlex.split(login)[:3]) == (7, ["ssh", "-i", str(machine.key)])


def test_a_machine_that_can_not_be_left_up_does_not_hide_why_the_bake_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boot(*_: object) -> tuple[int, str]:
        raise InfrastructureFailed("qemu-system-x86_64 ended with exit code 1")

    monkeypatch.setattr(debug_machine, "boot", boot)
    machine = BakeMachine(tmp_path, tmp_path / "console", Accelerator.TCG, 1, 512, (4000, 4020))
    machine.output.mkdir()
    (machine.output / "disk.qcow2").touch()
    error = BakeFailed("provisioner 1 of 1 failed")
    oven = LocalOven(parse({"local": {"keepFailed": True}}, "test", tmp_path))
    oven._keep(machine, Rendering({}, {}, "gce", "packer", 0, (), ()), error)
    assert error.hint == "its machine could not be left up: qemu-system-x86_64 ended with exit code 1"
    assert (tmp_path / scratch.KEPT).read_text() == ""
    assert not machine.output.exists()
