"""The secrets of a bake on this computer: files in memory that Packer copies into the machine.

They have no name in any file system, and end with this process, however it ends.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from bakery.errors import BakeFailed
from bakery.ovens.local.packer import DEBUG_LOG
from bakery.paths import below
from bakery.recipe.secrets import ENVIRONMENT, FILE, Secrets
from bakery.redaction import hide, redacted

LEAST_HIDDEN = 8  # characters: shorter values and lines may be parts of many words


@contextmanager
def opened(secrets: Secrets, root: Path, work: Path) -> Iterator[Mapping[str, str]]:
    """Yield the path of each secret for the processes of this computer; it is valid inside the block.

    Relative files begin at ``root``. Values are hidden in logs, and at the end in what Packer noted in the bake's
    folder ``work``. Raises BakeFailed for a secret that can't be read.
    """
    with ExitStack() as ends:
        if secrets:
            ends.callback(_clean, work / DEBUG_LOG)
        yield {name: ends.enter_context(_in_memory(name, _value(name, one, root))) for name, one in secrets.items()}


def _value(name: str, secret: Mapping[str, str], root: Path) -> bytes:
    """Return the value of a secret, which is hidden from now on. Raises BakeFailed."""
    if variable := secret.get(ENVIRONMENT, ""):
        value = os.environb.get(variable.encode(), b"")
        where = f"the environment has no {variable}"
    else:
        file, value = below(root, secret.get(FILE, "")), b""
        where = f"{file} can't be read, or is empty"
        with suppress(OSError):
            value = file.read_bytes()
    if not value:
        hint = f"set it where `pulumi up` runs, or change secrets.{name} in recipe.yaml"
        raise BakeFailed(f"there is no secret {name}: {where}", hint=hint)
    text = value.decode("utf-8", "replace").strip()
    lines = [line.strip() for line in text.splitlines()]
    for one in (text, *lines):
        if len(one) >= LEAST_HIDDEN:
            hide({f"secrets.{name}": one})
    return value


@contextmanager
def _in_memory(name: str, value: bytes) -> Iterator[str]:
    descriptor = os.memfd_create(f"bakery-{name}")
    try:
        os.fchmod(descriptor, 0o600)
        os.write(descriptor, value)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _clean(log: Path) -> None:
    """Hide secrets in a log that Packer has written itself."""
    with suppress(OSError):
        text = log.read_text(encoding="utf-8", errors="surrogateescape")
        log.write_text(redacted(text), encoding="utf-8", errors="surrogateescape")
