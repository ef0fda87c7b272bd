"""The variables that ``common/spack-install.sh`` expects from the provisioner that runs it."""

import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

INSTALLER = "spack-install.sh"
PLACEHOLDERS = ("INSTALL_ROOT", "COMPILER", "SYSTEM_COMPILER", "ARCH")  # in spack.yaml, filled in by the installer


class Installer(NamedTuple):
    """Which of the placeholders' variables the script ``settles`` (sets, or gives a default), and which it ``needs``.

    It needs those that it uses and neither settles nor tests for a value (``-n "$COMPILER"``). Substituting ``@NAME@``
    does not count as use: it has no effect on an environment without that placeholder.
    """

    needs: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()


def relevant_lines(script: bytes) -> tuple[str, ...]:
    """Return the lines that name a placeholder's variable: the rest of the script does not affect the checks."""
    lines = script.decode(errors="replace").splitlines()
    return tuple(line for line in lines if any(name in line for name in PLACEHOLDERS))


@cache
def parse_installer(lines: tuple[str, ...]) -> Installer:
    """Return the variables that the script with these relevant lines needs and settles, without running it."""
    settles = tuple(name for name in PLACEHOLDERS if _settles(lines, name))
    needs = tuple(name for name in PLACEHOLDERS if name not in settles and _needs(lines, name))
    return Installer(needs, settles)


def _settles(lines: Sequence[str], name: str) -> bool:
    return re.search(rf"\$\{{{name}:?[-=?]|^\s*(export\s+)?{name}=", "\n".join(lines), re.MULTILINE) is not None


def _needs(lines: Sequence[str], name: str) -> bool:
    used = "\n".join(line for line in lines if f"@{name}@" not in line)
    tested = re.search(rf"""\s-[nz]\s+"?\$\{{?{name}\b|\$\{{{name}:?\+""", used)
    return tested is None and re.search(rf"\$(\{{{name}\}}|{name}\b)", used) is not None
