"""Overlays that bakes write to, and how one becomes an image that stands on its own."""

from __future__ import annotations

from pathlib import Path

from bakery.errors import CommandFailed, InfrastructureFailed
from bakery.host import process
from bakery.progress.activity import Activity


def virtual_size(disk: Path) -> int:
    """The size in bytes that a machine sees: bytes 24 to 31 of a qcow2 header (QEMU's docs/interop/qcow2.txt)."""
    with disk.open("rb") as source:
        return int.from_bytes(source.read(32)[24:32], "big")


def overlay(base: Path, target: Path, size_gb: int) -> None:
    """A small qcow2 on top of ``base``, of at least ``size_gb`` GiB as the machine sees it."""
    target.unlink(missing_ok=True)
    size = max(size_gb << 30, virtual_size(base))
    process.output(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(target), str(size)])


def flatten(disk: Path, target: Path, activity: Activity, log: Path) -> Path:
    """Write what a machine sees on ``disk`` into a file of its own and check it; returns ``target``.

    Raises InfrastructureFailed (disk full, damaged disk) and Interrupted.
    """
    activity.say("flattening")
    try:
        process.run(convert_command(disk, target), log=log, activity=activity)
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


def convert_command(disk: Path, target: Path) -> list[str]:
    """Out of order and with many requests under way: the target is a plain file."""
    return ["qemu-img", "convert", "-W", "-m", "8", "-O", "qcow2", str(disk), str(target)]
