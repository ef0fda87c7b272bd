"""A machine that boots before its run is known: it waits for an identity, and then differs from its twins.

The host saves the machine while it waits, and starts machines from that state. Whatever such machines must not have in
common is changed here, before anything of the run is read: random numbers, clock, machine id, boot id, MAC.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import mmap
import os
import struct
import time
import uuid
from pathlib import Path

from . import wire
from .mailbox import DiskMailbox
from .slurm_conf import SlurmFacts, slurm_facts
from .system import RunError, command, wait_until, write_file
from .versions import software_versions
from .wire import RunSpec

POLL_SECONDS = 0.03
CARD_SECONDS = 60
# ioctl requests of Linux: include/uapi/linux/random.h and include/uapi/linux/fs.h.
RNDADDENTROPY, RNDRESEEDCRNG, BLKFLSBUF = 0x40085203, 0x5207, 0x1261
BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Prepared:
    """What was found in the image before the run was known: ``facts`` is None if it has no Slurm."""

    def __init__(self) -> None:
        for module in ("virtio_net", "nfsd", "nfsv4"):
            command("modprobe", module, check=False)
        self.facts: SlurmFacts | None = None
        with contextlib.suppress(RunError):  # reported when it is needed
            self.facts = slurm_facts()
        self.versions = software_versions()


def become(disk: Path, seed: Path) -> str:
    """Wait for an identity on the out disk, take it, and unpack the seed disk; return the name of this machine."""
    DiskMailbox(disk).send_status({"waiting": True})
    identity = wait_for_identity(disk)
    add_entropy(base64.b64decode(identity["entropy"]))
    time.clock_settime(time.CLOCK_REALTIME, identity["time"])
    write_file(Path("/etc/machine-id"), f"{identity['machine_id']}\n", 0o444)
    new_boot_id(Path("/run/boot_id"))
    take_address(identity["mac"])
    drop_cache(seed)
    command("tar", "-xf", str(seed))
    return str(identity["name"])


def wait_for_identity(disk: Path) -> RunSpec:
    """Return the identity that the host writes: read from the disk itself, whatever is in the page cache."""
    page = mmap.mmap(-1, wire.IDENTITY_SIZE)
    device = os.open(disk, os.O_RDONLY | os.O_DIRECT)
    try:
        while True:
            os.preadv(device, [page], wire.IDENTITY_AT)
            record = wire.read_record(bytes(page))
            if record is not None:
                return record[1]
            time.sleep(POLL_SECONDS)
    finally:
        os.close(device)


def add_entropy(random: bytes, device: Path = Path("/dev/random")) -> None:
    """Mix bytes into the kernel's random numbers, which count as random, and let what it gives out depend on them."""
    with device.open("wb") as sink:
        fcntl.ioctl(sink, RNDADDENTROPY, struct.pack("ii", 8 * len(random), len(random)) + random)
        fcntl.ioctl(sink, RNDRESEEDCRNG)


def new_boot_id(file: Path) -> None:
    """Give this boot an id of its own, by which libraries (UCX) decide whether two ranks are on the same machine."""
    write_file(file, f"{uuid.uuid4()}\n", 0o444)
    command("mount", "--bind", str(file), BOOT_ID)


def take_address(mac: str) -> None:
    """Give the network card its own MAC: the saved one came with the state of the card."""
    for _ in wait_until(f"a network card {wire.WAITING_MAC}", CARD_SECONDS, 0.1):
        names = [card.parent.name for card in Path("/sys/class/net").glob("*/address") if is_waiting(card)]
        if names:
            command("ip", "link", "set", names[0], "address", mac)
            return
        command("modprobe", "virtio_net", check=False)


def is_waiting(card: Path) -> bool:
    """Return whether a file in sysfs has the MAC of a machine that waits."""
    return card.read_text(encoding="ascii").strip() == wire.WAITING_MAC


def drop_cache(device: Path) -> None:
    """Forget what this machine has read of a disk, which is another one now."""
    with device.open("rb") as disk:
        fcntl.ioctl(disk, BLKFLSBUF)
