"""The machine that bakes: its seed disk, and the one that is left up after a failed bake."""

from __future__ import annotations

import io
import os
import shlex
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed
from bakery.host import process
from bakery.ovens.local import machine
from bakery.progress.activity import Activity
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


@pytest.fixture
def chain(tmp_path: Path) -> tuple[Path, Path]:
    """A disk of 8 MiB with random content, and an overlay on it."""
    (tmp_path / "raw").write_bytes(os.urandom(8 << 20))
    base, disk = tmp_path / "base.qcow2", tmp_path / "disk.qcow2"
    process.output(["qemu-img", "convert", "-O", "qcow2", str(tmp_path / "raw"), str(base)])
    machine.make_overlay(base, disk, 0)
    return disk, base


def test_the_same_content_gives_the_same_file(chain: tuple[Path, Path], tmp_path: Path) -> None:
    flat = [machine.flatten(chain, tmp_path / f"flat-{n}", Activity(), tmp_path / "log").read_bytes() for n in range(3)]
    assert len(set(flat)) == 1 and len(flat[0]) > 8 << 20


@pytest.mark.parametrize("position", [0, 1])
def test_a_source_that_was_cut_short_does_not_go_through_as_zeros(
    chain: tuple[Path, Path], tmp_path: Path, position: int
) -> None:
    process.output(["qemu-io", "-c", "write -P 7 0 4M", str(chain[0])])
    os.truncate(chain[position], 2 << 20)
    with pytest.raises(InfrastructureFailed, match=f"{chain[position]} is damaged or cut off"):
        machine.flatten(chain, tmp_path / "flat", Activity(), tmp_path / "log")
    assert not (tmp_path / "flat").exists()
