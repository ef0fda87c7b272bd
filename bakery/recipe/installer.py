"""What ``common/spack-install.sh`` wants to be told by whoever runs it."""

from __future__ import annotations

import re

INSTALLER = "spack-install.sh"
PLACEHOLDERS = ("INSTALL_ROOT", "COMPILER", "SYSTEM_COMPILER", "ARCH")  # of spack.yaml, filled by the installer


def needed(script: bytes) -> tuple[str, ...]:
    """Which of the placeholders' variables the script uses and neither sets nor gives a default."""
    written = script.decode(errors="replace")
    return tuple(
        name
        for name in PLACEHOLDERS
        if re.search(rf"\$(\{{{name}\}}|{name}\b)", written)
        and not re.search(rf"\$\{{{name}:?[-=?]|^\s*(export\s+)?{name}=", written, re.MULTILINE)
    )
