"""Checks of this machine for the local oven and its test clusters.

The programs and their packages are in ``system_tools.tsv``, which the set-up reads too.
"""

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery import paths
from bakery.backends.checks import Check, Condition, find, shown_version
from bakery.errors import BakeryError
from bakery.host import distribution, mirror, qemu
from bakery.host.hardware import ARM, ARM_FAMILY, Hardware
from bakery.lock import file as lock_file
from bakery.ovens.local import base_image, container, packer, packer_plugin
from bakery.plan.summary import Base
from bakery.settings import Accelerator, LocalSettings, Place, Settings

TOOLS = Path(__file__).with_name("system_tools.tsv")
ARM_TOOLS = Path(__file__).with_name("arm_tools.tsv")
GIB = 1 << 30
DISK_PER_IMAGE_GB = 3  # a baked image of 1 GB, its overlay while it bakes, and the machines of its test


@dataclass(frozen=True)
class Tool:
    """A program (or a file, if it starts with a slash) and the package that contains it, as Debian 12 calls it."""

    program: str
    package: str
    purpose: str


def checks(settings: Settings) -> Iterator[Check]:
    """Check everything that the local oven and its test clusters need."""
    yield from (check_tool(tool) for tool in tools())
    if find("packer"):
        yield check_builder()
    if needs_arm(settings):
        yield from (check_tool(tool) for tool in tools(ARM_TOOLS))
        yield check_foreign(ARM)
    yield check_accelerator(settings.local)
    yield check_containers()
    yield check_mirror(settings)
    yield check_disk(settings.state, DISK_PER_IMAGE_GB * max(2, len(settings.select)))
    yield check_disk(paths.cache(), DISK_PER_IMAGE_GB)
    yield from check_bases(settings)
    yield check_memory(max(settings.local.memory_mb, 4 * 768) + 512, available_memory_mb())


def tools(table: Path = TOOLS) -> tuple[Tool, ...]:
    """Return the table of programs."""
    lines = table.read_text(encoding="utf-8").splitlines()
    return tuple(Tool(*line.split("\t")) for line in lines if line and not line.startswith("#"))


def check_tool(tool: Tool) -> Check:
    """Check whether a program is installed, and in which version."""
    path = find(tool.program)
    if path is None:
        fix = distribution.install(tool.package)
        return Check(tool.program, Condition.MISSING, "not installed", tool.purpose, fix)
    return Check(tool.program, Condition.OK, shown_version(path), tool.purpose)


def needs_arm(settings: Settings) -> bool:
    """Return whether a base image for Arm is locked or in the settings, as far as names tell."""
    try:
        locked = lock_file.read(settings.lock).bases.get(Place.LOCAL, {})
    except BakeryError:  # which check_bases reports
        locked = {}
    return any(f"{ARM_FAMILY}-" in f"{name}-" for name in (*locked, *settings.local.bases))


def check_foreign(board: Hardware) -> Check:
    """Check whether Debian packages for other processors can be set up here."""
    name, purpose = f"programs for {board.name}", f"set up Debian packages for {board.name}"
    if lack := base_image.foreign_lack(board):
        return Check(name, Condition.MISSING, lack, purpose, distribution.install(*base_image.FOREIGN))
    return Check(name, Condition.OK, "can be run", purpose)


def check_builder() -> Check:
    """Check whether Packer can run QEMU. Newer versions need a plugin, which the first bake installs if it can."""
    name, purpose = "packer's qemu builder", "runs the machine that bakes"
    try:
        lacking = packer.lacks_builder()
    except BakeryError as error:
        return Check(name, Condition.MISSING, error.message, purpose, error.hint)
    if lacking:
        return Check(name, Condition.WARNING, "plugin not installed", purpose, shlex.join(packer_plugin.COMMAND))
    return Check(name, Condition.OK, "installed", purpose)


def check_accelerator(settings: LocalSettings) -> Check:
    """Check whether machines run with KVM. A probe guest is booted, because a device node proves nothing."""
    purpose = "runs machines at the processor's speed; without it they are emulated, about ten times slower"
    try:
        accelerator = qemu.accelerator(settings)
    except BakeryError as error:
        return Check("accelerator", Condition.MISSING, error.message, purpose, error.hint)
    if accelerator is Accelerator.KVM:
        return Check("accelerator", Condition.OK, "kvm", purpose)
    if settings.accelerator is Accelerator.TCG:
        return Check("accelerator", Condition.OK, "tcg, as set in local.accelerator", purpose)
    why, fix = _why_no_kvm(Path("/dev/kvm"))
    return Check("accelerator", Condition.WARNING, f"tcg: {why}", purpose, fix)


def check_containers() -> Check:
    """Check whether images can be baked in containers. What only a bake shows (such as an old kernel) is not seen."""
    purpose = "bake in a fraction of the time where machines are emulated"
    if lack := container.lack():
        return Check("containers", Condition.WARNING, lack, purpose)
    return Check("containers", Condition.OK, "systemd-nspawn, loop devices, slirp4netns", purpose)


def check_mirror(settings: Settings) -> Check:
    """Check whether it is known where Debian packages come from: only Debian's own apt tells."""
    purpose = "Debian base images are made of its packages"
    release = next(iter(mirror.RELEASES.values()))
    try:
        source = mirror.of_release(release, settings.local.mirror, settings.network.mirrors.apt)[0]
    except BakeryError as error:
        return Check("Debian mirror", Condition.WARNING, error.message, purpose, error.hint)
    return Check("Debian mirror", Condition.OK, source.uri, purpose)


def _why_no_kvm(node: Path) -> tuple[str, str]:
    if not node.exists():
        return f"{node} does not exist", "sudo modprobe -a kvm kvm_intel kvm_amd"
    if not os.access(node, os.R_OK | os.W_OK):
        return f"no permission to open {node}", "sudo adduser $USER kvm"
    return f"{node} can be opened, but no guest boots with it", ""


def check_bases(settings: Settings) -> Iterator[Check]:
    """Report the locked base images: version, where each comes from, and whether this computer has it."""
    purpose, fix = "images are baked from it", f"bakery lock --stack {settings.stack}"
    try:
        locked = lock_file.read(settings.lock).bases.get(Place.LOCAL, {})
    except BakeryError as error:
        yield Check("base images", Condition.MISSING, error.message, purpose, error.hint or fix)
        return
    for key in sorted(settings.local.bases.keys() - locked.keys()):
        yield Check(f"base {key}", Condition.WARNING, "not locked", purpose, fix)
    for key, base in sorted(locked.items()):
        project, _, family = key.partition("/")
        found = Base(family, base.name, base.identity, project, base.origin)
        folder = base_image.folder_of(found, settings.local, settings.network)
        whence = base.origin or "the Debian archive"
        there = "" if folder.is_dir() else ", fetched by the first bake"
        yield Check(f"base {key}", Condition.OK, f"{base.name} from {whence}{there}", purpose)


def check_disk(folder: Path, needed_gb: int) -> Check:
    """Check the free space where ``folder`` is or will be."""
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free / GIB
    purpose = f"images, overlays and results in {folder}"
    if free >= needed_gb:
        return Check("disk", Condition.OK, f"{free:.0f} GiB free", purpose)
    fix = f"free {needed_gb} GiB there, or set image-bakery:state to a folder on another disk"
    return Check("disk", Condition.MISSING, f"{free:.1f} GiB free, {needed_gb} needed", purpose, fix)


def available_memory_mb(table: Path = Path("/proc/meminfo")) -> int:
    """Return the memory that is available without swapping, in MiB."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", table.read_text(encoding="ascii"), re.MULTILINE)
    return int(match[1]) // 1024 if match else 0


def check_memory(needed_mb: int, available_mb: int) -> Check:
    """Check the memory for one machine that bakes, or for a test cluster, whichever is larger."""
    purpose = "one machine that bakes, or the four of a test cluster"
    if available_mb >= needed_mb:
        return Check("memory", Condition.OK, f"{available_mb} MiB available", purpose)
    fix = "pulumi config set --path 'image-bakery:local.memoryMb' 1024"
    return Check("memory", Condition.MISSING, f"{available_mb} MiB available, {needed_mb} needed", purpose, fix)
