"""The result of a check of this machine, and how programs are looked up on it."""

import os
import re
import shutil
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from bakery.errors import BakeryError
from bakery.host import process

SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")  # mke2fs and debugfs are not on an ordinary user's PATH
VERSION_OPTIONS = {"ssh-keygen": (), "debugfs": ("-V",), "mke2fs": ("-V",)}


class Condition(StrEnum):
    """OK; WARNING: slower or optional; MISSING: has to be installed or freed first."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """One check: what was found, its purpose, and the command that provides it (empty if OK)."""

    name: str
    condition: Condition
    found: str
    purpose: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """Return the check as ``bakery doctor --json`` prints it."""
        return {key: str(value) for key, value in asdict(self).items()}


def find(program: str) -> Path | None:
    """Return the path of a program, or None. The folders of system programs are searched too."""
    if program.startswith("/"):
        return Path(program) if Path(program).exists() else None
    path = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS]))
    return Path(path) if path else None


def shown_version(program: Path) -> str:
    """Return the version that a program prints, or its path if it prints none."""
    options = VERSION_OPTIONS.get(program.name, ("--version",))
    if not options or not os.access(program, os.X_OK):
        return str(program)
    try:
        tail = "\n".join(process.run([str(program), *options], timeout=10))
    except BakeryError:
        return str(program)
    match = re.search(r"\d+(\.\d+)+", tail)
    return match[0] if match else str(program)
