"""Cloud images as base images: downloaded once for all checkouts of a user, unpacked, and told how they boot.

The result is ``<cache>/bases/<key>/disk.qcow2``. Such a disk boots with its own boot loader, and its cloud-init runs
what the oven's seed disk brings, see :mod:`bakery.ovens.local.machine`.
"""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from bakery.errors import CommandFailed, InfrastructureFailed, from_os_error
from bakery.host import boot_files, distribution, process
from bakery.host.download import checksum_of, download
from bakery.host.files import sync_to_disk
from bakery.host.hardware import X86, Hardware
from bakery.paths import below
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT, mirrored

DISK_NAME = "disk.qcow2"
PACKED = {  # how a compressed file begins: the program that unpacks it, and its Debian package
    b"\xfd7zXZ\0": ("xz", "xz-utils"),
    b"\x1f\x8b": ("gzip", "gzip"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd"),
}
QCOW2 = b"QFI\xfb"
BOOT_CODE = 440  # bytes of the first sector that a BIOS runs
EXTERNAL_DATA = 1 << 2  # incompatible feature of a qcow2 image, QEMU's docs/interop/qcow2.txt
LOCK_AGAIN = "if the file was replaced on purpose, run: bakery lock"
WRONG = "name an image in qcow2 or raw format, which may be compressed with xz, gzip or zstd"


def key(base: Base) -> str:
    """Return the name of the image's folder."""
    return hashlib.sha256(f"cloud image {base.digest}".encode()).hexdigest()[:24]


def make(
    folder: Path, base: Base, root: Path, activity: Activity, log: Path, *, network: NetworkSettings = DIRECT
) -> None:
    """Fill a folder of the cache with the image; ``root`` is where relative paths begin.

    Raises InfrastructureFailed (no network, not found, wrong checksum, disk full, not an image), Interrupted.
    """
    packed = folder.with_name(f"{folder.name}.download")
    try:
        _fetch(base, root, packed, activity, network.mirrors.cloud_images)
        activity.say(f"unpacking {base.name}")
        image = disk(packed, base.origin, activity, log)
        sync_to_disk(image)
        folder.mkdir(exist_ok=True)
        image.rename(folder / DISK_NAME)
    except OSError as error:
        raise from_os_error(error) from error
    finally:
        for file in packed.parent.glob(f"{packed.name}*"):
            if file.suffix != ".part":  # from where the next attempt continues
                file.unlink()


def _fetch(base: Base, root: Path, target: Path, activity: Activity, mirrors: Mapping[str, str]) -> None:
    if urlsplit(base.origin).scheme in ("http", "https"):
        download(mirrored(base.origin, mirrors), target, base.digest, activity)
        return
    file = below(root, base.origin.removeprefix("file://"))
    activity.say(f"checking {file.name}")
    if not file.is_file():
        raise InfrastructureFailed(f"the base image {file} does not exist", hint="fix local.bases, or put it there")
    found = checksum_of(file, base.digest.partition(":")[0], activity)
    if found != base.digest:
        raise InfrastructureFailed(f"the checksum of {file} is {found}, not {base.digest}", hint=LOCK_AGAIN)
    shutil.copyfile(file, target)


def disk(file: Path, source: str, activity: Activity, log: Path | None = None) -> Path:
    """Return the qcow2 image that a file of ours is or contains; ``source`` names its origin in errors.

    Raises InfrastructureFailed for another format, and for an image that is damaged or refers to another file.
    """
    unpacked, image = file.with_name(f"{file.name}.disk"), file.with_name(f"{file.name}.qcow2")
    try:
        if program := next((found for begin, found in PACKED.items() if _head(file).startswith(begin)), None):
            process.find_tool(program[0], distribution.install(program[1]))
            command = ["/bin/sh", "-c", 'exec "$0" -dc <"$1" >"$2"', program[0], str(file), str(unpacked)]
            process.run(command, log=log, activity=activity)
            file.unlink()
            file = unpacked
        head = _head(file)
        if head.startswith(QCOW2):
            _refuse_parts(file, head, source, activity)
            return file
        if head[510:512] != b"\x55\xaa":
            raise InfrastructureFailed(f"{source} is not a disk image", hint=WRONG)
        command = ["qemu-img", "convert", "-m", "8", "-f", "raw", "-O", "qcow2", str(file), str(image)]
        process.run(command, log=log, activity=activity)
    except CommandFailed as error:
        raise error.as_infrastructure(f"{source} can't be unpacked", WRONG) from error
    return image


def _refuse_parts(file: Path, head: bytes, source: str, activity: Activity) -> None:
    """Raise InfrastructureFailed for a qcow2 image that is damaged, or that has a part in another file."""
    newer = int.from_bytes(head[4:8], "big") >= 3
    if any(head[8:16]) or (newer and int.from_bytes(head[72:80], "big") & EXTERNAL_DATA):
        raise InfrastructureFailed(f"{source} refers to another file", hint="flatten it: qemu-img convert -O qcow2")
    if not boot_files.is_sound(file, activity):
        raise InfrastructureFailed(f"{source} is damaged or cut off", hint=WRONG)


def _head(file: Path) -> bytes:
    with file.open("rb") as source:
        return source.read(512)


def firmware(disk: Path, work: Path, hardware: Hardware = X86) -> Path | None:
    """Return the UEFI that a disk needs; None if it has code for a BIOS, as most cloud images for x86_64 have besides.

    Raises MissingTool.
    """
    if not hardware.bios:
        return hardware.uefi(f"machines for {hardware.name} boot with UEFI")
    sector = work / "first-sector"
    command = ["qemu-img", "dd", "-f", "qcow2", "-O", "raw", "bs=512", "count=1", f"if={disk}", f"of={sector}"]
    process.output(command)
    has_code = any(sector.read_bytes()[:BOOT_CODE])
    sector.unlink()
    return None if has_code else hardware.uefi(f"{disk.name} boots with UEFI only")
