"""What ``common/spack-install.sh`` wants to be told by whoever runs it."""

from __future__ import annotations

import re
from dataclasses import dataclass

INSTALLER = "spack-install.sh"
PLACEHOLDERS = ("INSTALL_ROOT", "COMPILER", "SYSTEM_COMPILER", "ARCH")  # of spack.yaml, filled by the installer


@dataclass(frozen=True)
class Installer:
    """Which of the placeholders' variables the script ``settles`` (sets, or gives a default), and which it ``needs``.

    It needs what it uses and neither settles nor asks for (``-n "$COMPILER"``). To fill the variable's own placeholder
    is no use: that does nothing to an environment without it.
    """

    needs: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()


def read(script: bytes) -> Installer:
    """What the script's text says."""
    written = script.decode(errors="replace")
    settles = tuple(name for name in PLACEHOLDERS if _settles(written, name))
    needs = tuple(name for name in PLACEHOLDERS if name not in settles and _needs(written, name))
    return Installer(needs, settles)


def _settles(written: str, name: str) -> bool:
    return re.search(rf"\$\{{{name}:?[-=?]|^\s*(export\s+)?{name}=", written, re.MULTILINE) is not None


def _needs(written: str, name: str) -> bool:
    used = "\n".join(line for line in written.splitlines() if f"@{name}@" not in line)
    asked = re.search(rf"""\s-[nz]\s+"?\$\{{?{name}\b|\$\{{{name}:?\+""", used)
    return asked is None and re.search(rf"\$(\{{{name}\}}|{name}\b)", used) is not None
