"""The instance that a build bakes on, as a QEMU machine: Packer logs in, its disk becomes the image.

What Google's guest environment does (a user with the key of the metadata, the address of the card) is done by a seed
disk, which the local oven's base images unpack. Compute Engine switches an instance off before it deletes it: here a
second serial line does.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.host import process, qemu, tar
from bakery.host.boot_files import BootFiles
from bakery.host.hardware import X86
from bakery.host.machine import QemuMachine
from bakery.ovens.local import machine as oven
from bakery.settings import Accelerator

Json = Any
CORES, MEMORY_MB = 2, 1024
OFF_SECONDS = 300.0  # for a machine that is emulated on a busy computer
OFF = """
(read -r word </dev/ttyS1 && systemctl poweroff --no-block) </dev/null >/dev/null 2>&1 &
"""


@dataclass(frozen=True)
class BakeMachine:
    """A running one; ``ssh`` and ``off`` are ports of the loopback device."""

    running: process.Running
    disk: Path
    console: Path
    ssh: int
    off: int

    def switch_off(self) -> None:
        """End it as its power button would, so that all that was written is on the disk."""
        if self.running.poll() is None:
            with socket.create_connection(("127.0.0.1", self.off)) as line:
                line.sendall(b"off\n")
                self.running.wait(timeout=OFF_SECONDS)


def boot(folder: Path, item: Json, image: Path, files: BootFiles, accelerator: Accelerator) -> BakeMachine:
    """Boot the instance from an image that the local oven can bake on."""
    name = item["name"]
    seed = folder / f"{name}.seed.tar"
    seed.write_bytes(_seed(folder / f"{name}_host_key", item["metadata"]["items"]))
    ssh, off = qemu.free_ports(2)
    made = QemuMachine(
        folder=folder,
        name=name,
        title=name,
        cores=CORES,
        memory_mb=MEMORY_MB,
        line=f"{files.root} {X86.handed_in_arguments}",
        devices=(
            *("-drive", f"file={qemu.comma(seed)},format=raw,if=none,id=seed,readonly=on"),
            # In a later slot than the disk, which is to be vda.
            *("-device", "virtio-blk-pci,drive=seed,serial=bakery-seed,addr=0x10"),
            *qemu.user_network({ssh: 22}),
            *("-serial", f"tcp:127.0.0.1:{off},server=on,wait=off"),
        ),
    )
    return BakeMachine(made.start(image, files, accelerator), made.disk, made.console, ssh, off)


def _seed(key: Path, metadata: list[Json]) -> bytes:
    """The archive of the seed disk: the key of the metadata's ``ssh-keys`` and a host key."""
    (keys,) = (pair["value"] for pair in metadata if pair["key"] == "ssh-keys")
    user, _, public = keys.partition(":")
    host_public = oven.make_key(key)
    files = (
        ("run/bakery/apply", oven.script("apply.sh", user) + OFF.encode(), 0o755),
        ("run/bakery/key.pub", f"{public}\n".encode(), 0o644),
        ("etc/ssh/ssh_host_ed25519_key", key.read_bytes(), 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", host_public, 0o644),
    )
    return tar.pack(files)
