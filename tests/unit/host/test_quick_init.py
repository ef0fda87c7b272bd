"""The short cut through an initial file system: its archive, and real boots with it and around it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bakery.host import qemu, quick_init
from bakery.host.hardware import X86
from bakery.ovens.local import base_image
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings
from tests.support.bake_orders import DEBIAN

BOOT_SECONDS = 300
# What the short cut leaves in /run tells whether it was taken; the root has to be writable either way.
ASK = "exec >/dev/ttyS0; ls -1 /run/systemd; mount | grep -w /; ls -1d /dev/vda /proc/1 /sys/block; poweroff -f"


def entries(archive: bytes) -> dict[str, tuple[int, bytes]]:
    """The files of a "newc" archive: name to mode and content."""
    found, at = {}, 0
    while archive[at : at + 6] == b"070701":
        fields = [int(archive[at + 6 + 8 * number :][:8], 16) for number in range(13)]
        name = archive[at + 110 :][: fields[11] - 1].decode()
        at += 110 + fields[11] + -(110 + fields[11]) % 4
        found[name] = (fields[1], archive[at:][: fields[6]])
        at += fields[6] + -fields[6] % 4
    assert at == len(archive)
    return found


@pytest.mark.parametrize("before", [b"", b"x", b"1234", b"seventeen bytes.."])
def test_the_script_stands_behind_what_is_there_at_a_multiple_of_four(tmp_path: Path, before: bytes) -> None:
    file = tmp_path / "initrd"
    file.write_bytes(before)
    quick_init.append(file)
    content = file.read_bytes()
    start = len(before) + -len(before) % 4
    assert content[:start] == before + bytes(start - len(before))
    assert entries(content[start:]) == {
        "bakery-init": (0o100755, quick_init.SCRIPT.read_bytes()),
        "TRAILER!!!": (0, b""),
    }


@pytest.mark.machines
@pytest.mark.parametrize(
    ("family", "more", "quick"),
    [("debian-12", "", True), ("debian-12", "rootflags=noatime", False), ("debian-13", "", True)],
)
def test_a_machine_boots_with_the_short_cut_and_without_it(tmp_path: Path, family: str, more: str, quick: bool) -> None:
    settings = LocalSettings()
    base = base_image.get(DEBIAN._replace(family=family), settings, Activity(), tmp_path / "base.log")
    disk = tmp_path / "disk.qcow2"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base.disk, disk]
    subprocess.run(create, check=True)
    words = f"{base.boot.root} {more} {X86.handed_in_arguments} systemd.run=\"/bin/sh -c '{ASK}'\""
    command = [
        X86.program,
        *qemu.common_arguments(qemu.accelerator(settings), 1, 768, "quick-init"),
        *("-no-reboot", "-serial", "stdio"),
        *qemu.disk(disk),
        *base.boot.arguments(words),
    ]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=BOOT_SECONDS)
    assert ("system-generators" in done.stdout) is quick
    assert "on / type ext4 (rw" in done.stdout
    assert {"/dev/vda", "/proc/1", "/sys/block"} <= set(done.stdout.split())
