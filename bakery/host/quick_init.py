"""A faster replacement for the init script of an image's initial file system, for machines whose kernel QEMU loads.

The kernel unpacks several concatenated archives in order, so ``quick_init.sh`` is appended to the image's own archive,
which is not changed and whose script runs where the fast one can't continue.
"""

from pathlib import Path

SCRIPT = Path(__file__).with_name("quick_init.sh")
NAME = "bakery-init"
ARGUMENT = f"rdinit=/{NAME}"
TRAILER = "TRAILER!!!"
EXECUTABLE = 0o100755


def append(initrd: Path) -> None:
    """Append the script to the archives of an initial file system, in place."""
    with initrd.open("ab") as file:
        file.write(bytes(-file.tell() % 4))  # each archive starts at a multiple of four
        file.write(_entry(NAME, EXECUTABLE, SCRIPT.read_bytes()) + _entry(TRAILER, 0, b""))


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """Return a file in the "newc" format of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst."""
    path = name.encode() + b"\0"
    # Inode, mode, user, group, links, time, size, four device numbers, length of the name, checksum.
    numbers = (1, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + path
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
