"""Free space on this computer: QEMU halts a guest whose disk file can't grow, and the machine seems to hang."""

import shutil
from pathlib import Path

LEAST_FREE = 256 << 20  # bytes; with less, machines are ended before the disk is full


def lack(folder: Path) -> str:
    """Return a message if too little space is free below ``folder``, else an empty string."""
    free = shutil.disk_usage(folder).free
    return "" if free >= LEAST_FREE else f"the disk of {folder} is full ({free >> 20} MiB left)"
