"""Overlays that bakes write to, and how one becomes an independent image."""

from pathlib import Path

from bakery.errors import CommandFailed, InfrastructureFailed
from bakery.host import process
from bakery.progress.activity import Activity


def virtual_size(disk: Path) -> int:
    """Return a disk's virtual size in bytes: bytes 24 to 31 of a qcow2 header (QEMU's docs/interop/qcow2.txt)."""
    with disk.open("rb") as source:
        return int.from_bytes(source.read(32)[24:32], "big")


def overlay(base: Path, target: Path, size_gb: int) -> None:
    """Create a small qcow2 on top of ``base``, of at least ``size_gb`` GiB for the machine."""
    target.unlink(missing_ok=True)
    size = max(size_gb << 30, virtual_size(base))
    process.output(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(target), str(size)])


def flatten(disk: Path, target: Path, activity: Activity, log: Path) -> Path:
    """Write the content of ``disk`` and its backing files into ``target``, check it, and return it.

    Raises InfrastructureFailed (disk full, damaged disk) and Interrupted.
    """
    activity.say("flattening")
    try:
        # Out of order and with parallel requests, since the target is a plain file.
        command = ["qemu-img", "convert", "-W", "-m", "8", "-O", "qcow2", str(disk), str(target)]
        process.run(command, log=log, activity=activity)
        process.run(["qemu-img", "check", "-q", str(target)], log=log, activity=activity)
    except CommandFailed as error:
        raise InfrastructureFailed(
            f"the image could not be flattened: {error.message}",
            tail=error.tail,
            log=log,
            replay=error.replay,
            hint=error.hint,
        ) from error
    return target
