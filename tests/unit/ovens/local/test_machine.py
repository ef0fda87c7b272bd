"""The machine that bakes: its seed disk, and the one that is left up after a failed bake."""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakery.host import process
from bakery.ovens.local import machine
from bakery.settings import Accelerator


def test_the_seed_lets_the_builders_user_in_and_brings_begin_and_end_of_the_bake(tmp_path: Path):
    machine.make_seed(tmp_path, "baker")
    raw = (tmp_path / "seed.tar").read_bytes()
    assert len(raw) % 512 == 0  # a disk has whole sectors
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        modes = {entry.name: entry.mode for entry in tar.getmembers()}
        apply = tar.extractfile("run/bakery/apply")
        assert apply is not None and b"user='baker'" in apply.read()
        public = tar.extractfile("run/bakery/key.pub")
        assert public is not None and public.read() == (tmp_path / "key.pub").read_bytes()
    assert modes["etc/ssh/ssh_host_ed25519_key"] == 0o600
    assert {"run/bakery/apply", "run/bakery/finish"} <= set(modes)
    assert (tmp_path / "key").stat().st_mode & 0o77 == 0


def test_every_bake_has_keys_of_its_own(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        machine.make_seed(tmp_path / name, "baker")
    assert (tmp_path / "a" / "key").read_bytes() != (tmp_path / "b" / "key").read_bytes()
    assert (tmp_path / "a" / "host_key").read_bytes() != (tmp_path / "b" / "host_key").read_bytes()


def test_the_commands_for_a_machine_that_is_left_up_bear_every_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "a, b's"
    work.mkdir()
    baker = machine.BakeMachine(work, work / "console", Accelerator.TCG, 1, 512, (4000, 4020))
    called: list[Sequence[str]] = []

    def output(command: Sequence[str]) -> str:
        called.append(command)
        (work / "machine.pid").write_text("7", encoding="ascii")
        return ""

    monkeypatch.setattr(process, "output", output)
    pid, login = machine.boot_again(baker, "packer")
    doubled = str(work).replace(",", ",,")
    drives = [word for word in called[0] if word.startswith("file=")]
    assert [drive.split(",format")[0] for drive in drives] == [
        f"file={doubled}/output/disk.qcow2",
        f"file={doubled}/seed.tar",
    ]
    assert (pid, shlex.split(login)[:3]) == (7, ["ssh", "-i", str(baker.key)])
