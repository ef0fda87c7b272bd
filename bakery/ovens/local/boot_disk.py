"""The beginning of a base image's disk: a DOS label with one partition, and GRUB before it.

For a BIOS, GRUB's ``boot.img`` is a sector that loads the sectors after it (``core.img``), so no grub-install and no
loop device is needed. For UEFI, GRUB is a file in a second partition, before the first. Formats: Intel's DOS partition
table; the fields of ``boot.img``, and of the block list at the end of ``core.img``'s first sector, are in GRUB's
include/grub/i386/pc/boot.h. Their defaults fit a core.img at sector 1.
"""

import os
import struct
from pathlib import Path

SECTOR = 512
OFFSET = 1 << 20  # the file system starts here, or UEFI's partition with GRUB,
BEHIND_UEFI = 16 << 20  # behind which the file system starts
BOOT_CODE = 440  # bytes of the first sector that belong to the boot loader
PARTITION_SIZE = 446 + 12  # where the first entry of the partition table has its number of sectors
LINUX, UEFI = 0x83, 0xEF
ACTIVE = 0x80
NO_CHS = b"\xfe\xff\xff"


def label(boot: bytes, first: int, sectors: int, identity: int) -> bytes:
    """Return the first sector: boot code, disk identity, an active Linux partition of ``sectors`` from ``first``.

    If there is room before it, that is the partition of UEFI.
    """
    entries = struct.pack("<B3sB3sII", ACTIVE, NO_CHS, LINUX, NO_CHS, first, sectors)
    begin = OFFSET // SECTOR
    if first > begin:
        entries += struct.pack("<B3sB3sII", 0, NO_CHS, UEFI, NO_CHS, begin, first - begin)
    code = boot[:BOOT_CODE].ljust(BOOT_CODE, b"\0")
    return code + struct.pack("<IH", identity, 0) + entries.ljust(64, b"\0") + b"\x55\xaa"


def make_bootable(raw: Path, boot: bytes, core: bytes, identity: int) -> None:
    """Write label and boot loader into a raw disk image whose file system is at OFFSET.

    Without a boot loader for a BIOS it is at BEHIND_UEFI.
    """
    if len(core) > OFFSET - SECTOR:
        raise ValueError(f"GRUB's core.img has {len(core)} bytes and does not fit before the file system")
    first = OFFSET if boot else BEHIND_UEFI
    sectors = (raw.stat().st_size - first) // SECTOR
    with raw.open("r+b") as disk:
        disk.write(label(boot, first // SECTOR, sectors, identity))
        disk.write(core)


def grow(raw: Path, size: int) -> bool:
    """Make a raw disk image at least ``size`` bytes large with its only partition; return whether it was smaller."""
    with raw.open("r+b") as disk:
        if disk.seek(0, os.SEEK_END) >= size:
            return False
        disk.truncate(size)
        disk.seek(PARTITION_SIZE)
        disk.write(struct.pack("<I", (size - OFFSET) // SECTOR))
    return True
