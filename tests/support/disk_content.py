"""The files of a disk image, read through a read-only mount that ends with the reader. Needs root and loop devices."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bakery.ovens.local.boot_disk import OFFSET

# Prints path -> [type, mode, owner, group, number of links, content or target, extended attributes].
WALK = """
import hashlib, json, os, stat, sys
found = {}
root = sys.argv[1]
for folder, folders, files in os.walk(root):
    for name in folders + files:
        path = os.path.join(folder, name)
        info = os.lstat(path)
        content = ""
        if stat.S_ISREG(info.st_mode):
            with open(path, "rb") as file:
                content = hashlib.sha256(file.read()).hexdigest()
        elif stat.S_ISLNK(info.st_mode):
            content = os.readlink(path)
        elif stat.S_ISCHR(info.st_mode) or stat.S_ISBLK(info.st_mode):
            content = str(info.st_rdev)
        attributes = {one: os.getxattr(path, one, follow_symlinks=False).hex()
                      for one in sorted(os.listxattr(path, follow_symlinks=False))}
        links = 0 if stat.S_ISDIR(info.st_mode) else info.st_nlink
        found[path[len(root):]] = [oct(info.st_mode), info.st_uid, info.st_gid, links, content, attributes]
print(json.dumps(found))
"""
MOUNTED = 'mount -o loop,ro,noload,offset="$1" "$2" "$3" && shift 3 && exec "$@"'


def manifest(image: Path, offset: int = OFFSET) -> dict[str, list[object]]:
    """Return the facts about every file of a qcow2 image, by path; its file system begins at ``offset``."""
    found: dict[str, list[object]] = json.loads(in_mount(image, (sys.executable, "-c", WALK), offset=offset))
    return found


def in_mount(image: Path, command: Sequence[str], *more: str, offset: int = OFFSET) -> str:
    """Return the output of a command that is given the root of the image, mounted only for it, and ``more`` words."""
    with tempfile.TemporaryDirectory(prefix="bakery-content-") as place:
        raw, root = Path(place) / "disk.raw", Path(place) / "root"
        root.mkdir()
        subprocess.run(["qemu-img", "convert", "-O", "raw", str(image), str(raw)], check=True)
        words = ("sh", str(offset), str(raw), str(root), *command, str(root), *more)
        inside = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", MOUNTED, *words]
        return subprocess.run(inside, check=True, capture_output=True, text=True).stdout
