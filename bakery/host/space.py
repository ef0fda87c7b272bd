"""Room on this machine's disk: QEMU halts a guest whose disk can't grow, which looks like a machine that hangs."""

from __future__ import annotations

import shutil
from pathlib import Path

LEAST_FREE = 256 << 20  # bytes; with less, machines are ended before they meet a full disk


def lack(folder: Path) -> str:
    """What to say when too little is free below ``folder``; empty while there is enough."""
    free = shutil.disk_usage(folder).free
    return "" if free >= LEAST_FREE else f"the disk of {folder} is full ({free >> 20} MiB left)"
