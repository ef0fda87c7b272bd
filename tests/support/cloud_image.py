"""A small cloud image: Debian with cloud-init, laid out as the cloud images of Debian, Ubuntu and Rocky are.

A GUID partition table with the root first in number and last on the disk, a partition for GRUB on a BIOS and one for
UEFI. Made with mmdebstrap, without loop devices; needs grub-efi-amd64-bin, mtools and dosfstools.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import uuid
import zlib
from pathlib import Path

from bakery.host import mirror

SECTOR = 512
MIB = 1 << 20
SIZE = 3 << 30
BIOS, ESP, ROOT = (1 * MIB, 2 * MIB), (2 * MIB, 16 * MIB), (16 * MIB, SIZE - MIB)  # of the disk: begin and end
KINDS = {
    BIOS: "21686148-6449-6e6f-744e-656564454649",
    ESP: "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
    ROOT: "0fc63daf-8483-4772-8e79-3d69d8477de4",
}
NUMBERS = {ROOT: 1, BIOS: 14, ESP: 15}  # as on the images of Debian and Ubuntu
PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "systemd-sysv", "udev", "openssh-server", "sudo", "cloud-init"),
    *(
        "cloud-guest-utils",
        "fdisk",
        "iproute2",
        "ifupdown",
        "isc-dhcp-client",
        "e2fsprogs",
        "ca-certificates",
        "netbase",
    ),
)
GRUB = """serial --unit=0 --speed=115200
terminal_output serial
search --no-floppy --label --set=root cloudimg-rootfs
linux /vmlinuz root=LABEL=cloudimg-rootfs ro console=ttyS0
initrd /initrd.img
boot
"""
HOOK = r"""#!/bin/sh
set -eu
root=$1
printf 'LABEL=cloudimg-rootfs / ext4 defaults 0 1\n' >"$root/etc/fstab"
echo cloud >"$root/etc/hostname"
chroot "$root" passwd --quiet --lock root
chroot "$root" apt-get clean
rm -rf "$root"/var/lib/apt/lists/* "$root"/etc/ssh/ssh_host_* "$root/etc/resolv.conf"
rm -f "$root/etc/apt/apt.conf.d/99mmdebstrap" "$root/etc/dpkg/dpkg.cfg.d/99mmdebstrap"
: >"$root/etc/machine-id"
view=$(mktemp -d)
mount --bind "$root" "$view"
trap 'umount "$view" && rmdir "$view"' EXIT
mke2fs -q -t ext4 -L cloudimg-rootfs -d "$view" -E "offset=$OFFSET" "$DISK" "${BLOCKS}k"
"""


def _guid(text: str) -> bytes:
    return uuid.UUID(text).bytes_le


def table() -> tuple[bytes, bytes]:
    """The first 34 sectors and the last 33 of the disk: UEFI specification, chapter 5."""
    entries = bytearray(128 * 128)
    for place, number in NUMBERS.items():
        first, last = place[0] // SECTOR, place[1] // SECTOR - 1
        entry = _guid(KINDS[place]) + uuid.uuid4().bytes_le + struct.pack("<QQQ", first, last, 0)
        entries[(number - 1) * 128 : (number - 1) * 128 + len(entry)] = entry
    sectors, disk = SIZE // SECTOR, uuid.uuid4().bytes_le

    def header(own: int, other: int, begin: int) -> bytes:
        head = (
            b"EFI PART" + struct.pack("<IIII", 0x10000, 92, 0, 0) + struct.pack("<QQQQ", own, other, 34, sectors - 34)
        )
        head += disk + struct.pack("<QIII", begin, 128, 128, zlib.crc32(entries))
        return (head[:16] + struct.pack("<I", zlib.crc32(head)) + head[20:]).ljust(SECTOR, b"\0")

    protective = bytes(446) + struct.pack("<B3sB3sII", 0, b"\0\2\0", 0xEE, b"\xff\xff\xff", 1, sectors - 1) + bytes(48)
    first = protective + b"\x55\xaa" + header(1, sectors - 1, 2) + entries
    return first, bytes(entries) + header(sectors - 1, 1, sectors - 33)


def _run(*command: str | Path, **env: str) -> None:
    subprocess.run(command, check=True, env={**os.environ, **env}, stdout=sys.stderr)


def make(target: Path, *, bios: bool = True) -> None:
    """Write the image as qcow2; without ``bios`` only UEFI boots it."""
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        work.chmod(0o755)
        disk, hook, config = work / "disk.raw", work / "hook.sh", work / "grub.cfg"
        hook.write_text(HOOK)
        hook.chmod(0o755)
        config.write_text(GRUB)
        first, last = table()
        with disk.open("wb") as raw:
            raw.truncate(SIZE)
            raw.write(first)
            raw.seek(SIZE - len(last))
            raw.write(last)
        sources = mirror.for_suite("bookworm", "", mirror.apt_sources(), mirror.codename())
        _run(
            *("mmdebstrap", "--variant=apt", "--format=null", "--mode=root", f"--include={','.join(PACKAGES)}"),
            *('--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io", f"--customize-hook={hook}"),
            *("bookworm", "/dev/null", *(source.line() for source in sources)),
            **{"DISK": str(disk), "OFFSET": str(ROOT[0]), "BLOCKS": str((ROOT[1] - ROOT[0]) >> 10)},
        )
        modules = ("part_gpt", "ext2", "fat", "normal", "linux", "serial", "search", "search_label", "echo")
        grub = ("grub-mkimage", "-c", config, "-p", "/boot/grub")
        if bios:
            _run(*grub, "-O", "i386-pc", "-o", work / "core.img", "biosdisk", *modules)
            _install_bios(disk, (work / "core.img").read_bytes())
        _run(*grub, "-O", "x86_64-efi", "-o", work / "bootx64.efi", *modules)
        esp = work / "esp.img"
        with esp.open("wb") as raw:
            raw.truncate(ESP[1] - ESP[0])
        _run("mkfs.vfat", esp)
        _run("mmd", "-i", esp, "::/EFI", "::/EFI/BOOT")
        _run("mcopy", "-i", esp, work / "bootx64.efi", "::/EFI/BOOT/BOOTX64.EFI")
        with disk.open("r+b") as raw:
            raw.seek(ESP[0])
            raw.write(esp.read_bytes())
        _run("qemu-img", "convert", "-O", "qcow2", "-c", disk, target)


def _install_bios(disk: Path, core: bytes) -> None:
    """Write GRUB's first sector and its core image, whose places are in GRUB's include/grub/i386/pc/boot.h."""
    begin = BIOS[0] // SECTOR
    boot = bytearray(Path("/usr/lib/grub/i386-pc/boot.img").read_bytes()[:440])
    boot[0x5C:0x64] = struct.pack("<Q", begin)
    rest = bytearray(core)
    rest[500:508] = struct.pack("<Q", begin + 1)
    with disk.open("r+b") as raw:
        raw.write(boot)
        raw.seek(BIOS[0])
        raw.write(rest)


if __name__ == "__main__":
    make(Path(sys.argv[1]), bios=sys.argv[2:] != ["uefi"])
