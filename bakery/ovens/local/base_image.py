"""Base images: a Debian release, made once with mmdebstrap, or a cloud image; all checkouts of a user share them.

The result is a folder ``<cache>/bases/<key>`` with ``disk.qcow2`` (which also boots on its own, with GRUB, from a
BIOS or for Arm from UEFI), ``vmlinuz`` and ``initrd.img`` (which QEMU loads, to save the boot loader's seconds). The
key is a digest of all inputs.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bakery import paths
from bakery.errors import BakeFailed, CommandFailed, MissingTool
from bakery.host import boot_files, distribution, hardware, locks, mirror, process, quick_init
from bakery.host.boot_files import BootFiles
from bakery.host.files import discard, hidden_beside, sync_to_disk
from bakery.host.hardware import Hardware
from bakery.ovens.local import boot_disk, cloud_image
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings, NetworkSettings
from bakery.settings.network import DIRECT

FILES = Path(__file__).with_name("files")
DISK_NAME = "disk.qcow2"
BOOT_FILES = ("vmlinuz", "initrd.img")
LABEL = "bakery-root"
OLD = 30 * 86400  # seconds
PACKAGES = (  # besides the kernel
    *("initramfs-tools", "zstd", "systemd-sysv", "udev", "kmod", "openssh-server", "sudo"),
    *("python3-minimal", "iproute2", "ca-certificates", "procps", "netbase", "e2fsprogs", "fdisk", "eatmydata"),
)
OF_BAKES = ("apply.sh", "container.sh", "finish.sh", "sysctl.sh")  # these files are not in a base image
HOOKS = {"essential": "early", "customize": "customize"}
TOOLS = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-img": "qemu-utils"}
LOADER_TOOLS = {True: {"grub-mkimage": "grub-common"}, False: {"mformat": "mtools"}}  # for a BIOS, else for UEFI
FOREIGN = ("arch-test", "qemu-user-static", "binfmt-support")  # packages
WRITE_SOURCES = 'printf "%s\n" "$BAKERY_SOURCES" >"$1/etc/apt/sources.list"'  # mmdebstrap's hook, before the disk's
BOOT_SECTOR = Path("/usr/lib/grub/i386-pc/boot.img")


@dataclass(frozen=True)
class Bootable:
    """A disk image that machines boot from, and its kernel for QEMU if that was extracted before.

    A ``cloud`` image boots with its own boot loader, and cloud-init prepares it.
    """

    disk: Path
    boot: BootFiles | None = None
    cloud: bool = False


def release(base: Base) -> str:
    """Return the Debian release of a base image's family (``debian-12`` or ``bookworm``). Raises BakeFailed."""
    match = re.match(r"debian-\d+", base.family)
    suite = mirror.RELEASES.get(match[0]) if match else base.family.removeprefix("debian-")
    if suite is None or suite not in mirror.RELEASES.values():
        raise BakeFailed(
            f"the local oven can't make the base image {base.family}",
            hint=f"use one that it makes ({', '.join(mirror.RELEASES)}), or bake on Google Cloud",
        )
    return suite


def made_for(base: Base) -> Hardware:
    """Return the hardware that a Debian base image is for: ``debian-12-arm64`` is for Arm, as on Compute Engine."""
    return hardware.ARM if base.family.endswith(hardware.ARM_FAMILY) else hardware.X86


def packages(base: Base) -> tuple[str, ...]:
    """Return the Debian packages of a base image."""
    return (f"linux-image-cloud-{made_for(base).debian}", *PACKAGES)


def key(base: Base, settings: LocalSettings, network: NetworkSettings = DIRECT) -> str:
    """Return the digest of a base image's inputs: release, locked identity, packages, size, sources and files."""
    files = sorted(file for file in FILES.rglob("*") if file.is_file() and file.name not in OF_BAKES)
    content = {str(file.relative_to(FILES)): _sha256(file) for file in files}
    parts = [
        *(release(base), base.digest, packages(base), settings.disk_gb, _written(base, network) or settings.mirror),
        *(made_for(base).kernel_arguments, content, _sha256(quick_init.SCRIPT)),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _written(base: Base, network: NetworkSettings) -> str:
    """Return the sources in the image if they are those of publishers; empty if it has the addresses of a mirror."""
    return "\n".join(source.line() for source in mirror.published(release(base), network.mirrors.apt))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def get(
    base: Base,
    settings: LocalSettings,
    activity: Activity,
    log: Path,
    root: Path = Path(),
    *,
    network: NetworkSettings = DIRECT,
) -> Bootable:
    """Return the base image; create it if it does not exist or is damaged, one process at a time.

    ``root`` is where relative paths begin. Raises BakeFailed for a release that can't be made, InfrastructureFailed,
    MissingTool and Interrupted.
    """
    cloud = bool(base.origin)
    folder = folder_of(base, settings, network)
    if not _is_sound(folder, activity, cloud=cloud):
        with locks.hold(
            folder.with_suffix(".lock"),
            f"making the base image {base.family}",
            activity,
            lambda who: activity.say(f"waiting for the base image: {who}"),
        ):
            if not _is_sound(folder, activity, cloud=cloud):
                discard(folder)
                clear(folder.parent, time.time())
                if cloud:
                    cloud_image.make(folder, base, root, activity, log, network=network)
                else:
                    activity.say(f"making the base image {base.family}")
                    _make(folder, base, settings, activity, log, network=network)
    with suppress(OSError):
        os.utime(folder)  # the time of its last use
    if cloud:
        return Bootable(folder / DISK_NAME, cloud=True)
    kernel, initrd = (folder / name for name in BOOT_FILES)
    return Bootable(folder / DISK_NAME, BootFiles(kernel, initrd, f"root=LABEL={LABEL}"))


def folder_of(base: Base, settings: LocalSettings, network: NetworkSettings = DIRECT) -> Path:
    """Return the folder of a base image, which may not exist. Raises BakeFailed for a release that can't be made."""
    return paths.cache() / "bases" / (cloud_image.key(base) if base.origin else key(base, settings, network))


def _is_sound(folder: Path, activity: Activity, *, cloud: bool) -> bool:
    """Return whether a base image exists and is complete, as far as sizes and tables tell."""
    names = () if cloud else BOOT_FILES
    sizes = [file.stat().st_size for file in (folder / name for name in names) if file.exists()]
    disk = folder / DISK_NAME
    return len(sizes) == len(names) and all(sizes) and disk.exists() and boot_files.is_sound(disk, activity)


def _make(
    folder: Path, base: Base, settings: LocalSettings, activity: Activity, log: Path, *, network: NetworkSettings
) -> None:
    _check_tools(made_for(base))
    with tempfile.TemporaryDirectory(prefix="bakery-base-") as place:
        # Below /tmp and readable by all, the hooks as well: without root, mmdebstrap runs as another user of the host,
        # who can't enter home folders or read private files. Sticky, so that other users can't replace the hooks.
        scratch = Path(place)
        scratch.chmod(0o1777)
        _open_copy(FILES, scratch / FILES.name)
        locks.sign(scratch, f"making the base image {base.family}")
        _bootstrap(scratch, base, settings, activity, log, network=network)
        raw = scratch / "disk.raw"
        blobs = (scratch / "boot.img", scratch / "core.img")
        boot, core = (file.read_bytes() if file.exists() else b"" for file in blobs)
        boot_disk.make_bootable(raw, boot, core, int.from_bytes(os.urandom(4), "little"))
        half = hidden_beside(folder)
        half.mkdir(parents=True)
        locks.sign(half, f"making the base image {base.family}")
        try:
            command = ["qemu-img", "convert", "-q", "-O", "qcow2", str(raw), str(half / DISK_NAME)]
            process.run(command, log=log, activity=activity)
            for name in BOOT_FILES:
                shutil.copyfile(scratch / name, half / name)
            quick_init.append(half / BOOT_FILES[1])
            for name in (DISK_NAME, *BOOT_FILES):
                sync_to_disk(half / name)  # or a power cut may leave a part of it
            half.rename(folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)


def _check_tools(board: Hardware) -> None:
    """Raise MissingTool if this computer can't make a base image."""
    for tool, package in {**TOOLS, **LOADER_TOOLS[board.bios]}.items():
        process.find_tool(tool, distribution.install(package))
    if board.bios and not BOOT_SECTOR.exists():
        raise MissingTool(f"{BOOT_SECTOR} does not exist", hint=distribution.install("grub-pc-bin"))
    if not mirror.KEYRING.exists():
        raise MissingTool(f"{mirror.KEYRING} does not exist", hint=distribution.install("debian-archive-keyring"))
    if lack := foreign_lack(board):
        raise MissingTool(lack, hint=distribution.install(*FOREIGN))


def foreign_lack(board: Hardware) -> str:
    """Return why Debian packages for other processors can't be set up on this computer; "" if they can."""
    if board.host == platform.machine():
        return ""
    if not shutil.which("arch-test"):
        return "arch-test is not installed"
    try:
        process.output(["arch-test", board.debian])
    except CommandFailed:
        return f"programs for {board.name} don't run on this computer"
    return ""


def _open_copy(source: Path, target: Path) -> None:
    """Copy a folder so that all users have the owner's permissions, except to write."""
    shutil.copytree(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)


def _bootstrap(
    scratch: Path, base: Base, settings: LocalSettings, activity: Activity, log: Path, *, network: NetworkSettings
) -> None:
    """Run mmdebstrap; its last hook writes disk.raw, vmlinuz and initrd.img to ``scratch``.

    For a BIOS it writes boot.img and core.img as well.
    """
    suite, board = release(base), made_for(base)
    offset = boot_disk.OFFSET if board.bios else boot_disk.BEHIND_UEFI
    written, mirrors = _written(base, network), network.mirrors.apt
    origins = mirror.of_release(suite, settings.mirror, mirrors)
    size = settings.disk_gb << 30
    with (scratch / "disk.raw").open("wb") as raw:
        raw.truncate(size)
    (scratch / "disk.raw").chmod(0o666)
    environment = {
        "BAKERY_FILES": str(scratch / FILES.name),
        "BAKERY_OUT": str(scratch),
        "BAKERY_UEFI": "" if board.bios else f"{boot_disk.OFFSET} {(offset - boot_disk.OFFSET) // boot_disk.SECTOR}",
        "BAKERY_OFFSET": str(offset),
        "BAKERY_BLOCKS": str((size - offset) >> 10),
        "BAKERY_UUID": str(uuid.uuid4()),
        "BAKERY_ARGUMENTS": board.kernel_arguments,
        "BAKERY_SOURCES": written,
        **network.environment,
    }
    command = [
        *("mmdebstrap", "--variant=apt", "--format=null", f"--mode={'root' if os.geteuid() == 0 else 'unshare'}"),
        *([] if mirror.codename() else [f"--keyring={mirror.KEYRING}"]),  # another distribution's apt trusts no Debian
        *(f"--architectures={board.debian}", f"--include={','.join(packages(base))}"),
        *('--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io"),
        *([f"--customize-hook={WRITE_SOURCES}"] if written else []),
        *(f"--{kind}-hook={scratch / FILES.name / hook}.sh" for kind, hook in HOOKS.items()),
        *(suite, "/dev/null"),
        *(source.line() for source in mirror.at_mirrors(origins, mirrors)),
    ]
    try:
        process.run(command, env=environment, log=log, activity=activity)
    except CommandFailed as error:
        hint = "if a download failed, check that this machine reaches its Debian mirror (apt-get update)"
        raise error.as_infrastructure(f"the base image {base.family} could not be made", hint) from error


def clear(bases: Path, now: float) -> None:
    """Delete incomplete base images whose makers have ended, and those (and downloads) that were not used for a month.

    ``now`` is in seconds.
    """
    for half in bases.glob(".*"):
        if half.is_dir() and locks.deserted(half):
            shutil.rmtree(half, ignore_errors=True)
    for folder in bases.glob("[!.]*"):
        with suppress(OSError):
            if folder.stat().st_mtime >= now - OLD:
                continue
            if folder.is_dir():
                discard(folder)
            elif folder.suffix == ".part":
                folder.unlink()
