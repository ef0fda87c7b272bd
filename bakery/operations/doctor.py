"""What this machine lacks to bake and test, and the command that gets it.

The programs and their Debian packages stand in ``system_tools.tsv``, which the set-up reads too.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from bakery import paths
from bakery.errors import BakeryError
from bakery.host import process, qemu
from bakery.ovens.local import packer
from bakery.settings import Accelerator, LocalSettings, OvenKind, Settings

TOOLS = Path(__file__).with_name("system_tools.tsv")
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin")  # mke2fs and debugfs are not on an ordinary user's PATH
GIB = 1 << 30
DISK_PER_IMAGE_GB = 3  # a baked image of 1 GB, its overlay while it bakes, and the machines of its test
VERSION_OPTIONS = {"ssh-keygen": (), "debugfs": ("-V",), "mke2fs": ("-V",)}


class Condition(StrEnum):
    """OK; a WARNING is slower or optional; what is MISSING must be got first."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at: what was found, what it is for, and the command that gets it ("" when OK)."""

    name: str
    condition: Condition
    found: str
    purpose: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """As ``bakery doctor --json`` prints it."""
        return {key: str(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Tool:
    """A program (or a file, when it starts with a slash) and the Debian package that brings it."""

    program: str
    package: str
    purpose: str


def tools(table: Path = TOOLS) -> tuple[Tool, ...]:
    """The table of programs."""
    lines = table.read_text(encoding="utf-8").splitlines()
    return tuple(Tool(*line.split("\t")) for line in lines if line and not line.startswith("#"))


def find(program: str) -> Path | None:
    """Where a program is, also where only root looks."""
    if program.startswith("/"):
        return Path(program) if Path(program).exists() else None
    found = shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS]))
    return Path(found) if found else None


def shown_version(program: Path) -> str:
    """The version that a program prints, or its path when it prints none."""
    options = VERSION_OPTIONS.get(program.name, ("--version",))
    if not options or not os.access(program, os.X_OK):
        return str(program)
    try:
        tail = process.run([str(program), *options], timeout=10).text
    except BakeryError:
        return str(program)
    match = re.search(r"\d+(\.\d+)+", tail)
    return match[0] if match else str(program)


def check_tool(tool: Tool) -> Check:
    """Whether a program is there, in which version."""
    found = find(tool.program)
    if found is None:
        fix = f"sudo apt-get install --no-install-recommends {tool.package}"
        return Check(tool.program, Condition.MISSING, "not installed", tool.purpose, fix)
    return Check(tool.program, Condition.OK, shown_version(found), tool.purpose)


def check_builder() -> Check:
    """Whether Packer can make QEMU machines: newer ones need a plugin, which the first bake installs if it can."""
    name, purpose = "packer's qemu builder", "runs the machine that bakes"
    try:
        lacking = packer.lacks_builder()
    except BakeryError as error:
        return Check(name, Condition.MISSING, error.message, purpose, error.hint)
    if lacking:
        return Check(name, Condition.WARNING, "no plugin yet", purpose, shlex.join(packer.INSTALL_PLUGIN))
    return Check(name, Condition.OK, "there", purpose)


def check_accelerator(settings: LocalSettings) -> Check:
    """Whether machines run with KVM; asks the probe that boots a guest, because a device node proves nothing."""
    purpose = "runs machines at the processor's speed; without it they are emulated, about ten times slower"
    try:
        found = qemu.accelerator(settings)
    except BakeryError as error:
        return Check("accelerator", Condition.MISSING, error.message, purpose, error.hint)
    if found is Accelerator.KVM:
        return Check("accelerator", Condition.OK, "kvm", purpose)
    if settings.accelerator is Accelerator.TCG:
        return Check("accelerator", Condition.OK, "tcg, as the settings want it", purpose)
    node = Path("/dev/kvm")
    if not node.exists():
        return Check(
            "accelerator",
            Condition.WARNING,
            "tcg: there is no /dev/kvm",
            purpose,
            "sudo modprobe -a kvm kvm_intel kvm_amd",
        )
    if not os.access(node, os.R_OK | os.W_OK):
        return Check(
            "accelerator", Condition.WARNING, "tcg: /dev/kvm is not yours to open", purpose, "sudo adduser $USER kvm"
        )
    return Check("accelerator", Condition.WARNING, "tcg: /dev/kvm opens, but no guest boots with it", purpose)


def check_disk(folder: Path, needed_gb: int) -> Check:
    """Free space where ``folder`` is or will be."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free / GIB
    purpose = f"images, overlays and results in {folder}"
    if free >= needed_gb:
        return Check("disk", Condition.OK, f"{free:.0f} GiB free", purpose)
    fix = f"free {needed_gb} GiB there, or set image-bakery:state to another disk's folder"
    return Check("disk", Condition.MISSING, f"{free:.1f} GiB free, {needed_gb} wanted", purpose, fix)


def available_memory_mb(table: Path = Path("/proc/meminfo")) -> int:
    """Memory that can be had without swapping, in MiB."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", table.read_text(encoding="ascii"), re.MULTILINE)
    return int(match[1]) // 1024 if match else 0


def check_memory(needed_mb: int, available_mb: int) -> Check:
    """Memory for one machine that bakes, or a cluster that tests: whichever is larger."""
    purpose = "one machine that bakes, or the four of a test cluster"
    if available_mb >= needed_mb:
        return Check("memory", Condition.OK, f"{available_mb} MiB available", purpose)
    fix = "pulumi config set --path 'image-bakery:local.memoryMb' 1024"
    return Check("memory", Condition.MISSING, f"{available_mb} MiB available, {needed_mb} wanted", purpose, fix)


def check_python() -> Check:
    """The Python that runs this."""
    found = ".".join(map(str, sys.version_info[:3]))
    return Check("python", Condition.OK, f"{found} ({sys.prefix})", "runs the bakery")


def check_engine(root: Path) -> Check:
    """The Pulumi engine, on PATH or where the set-up of the checkout ``root`` put it: at least as new as the SDK."""
    purpose, fix = "runs the stacks (bakery plan needs none)", "make setup"
    wanted = version("pulumi")
    found = find("pulumi") or find(str(root / ".bakery" / "engine" / "pulumi"))
    if found is None:
        return Check("pulumi", Condition.MISSING, "not installed", purpose, fix)
    shown = shown_version_of_engine(found)
    if numbers(shown) < numbers(wanted):
        return Check("pulumi", Condition.MISSING, f"{shown}, wanted is {wanted} or newer", purpose, fix)
    return Check("pulumi", Condition.OK, shown, purpose)


def shown_version_of_engine(program: Path) -> str:
    """What ``pulumi version`` prints, or "unknown"."""
    try:
        return process.run([str(program), "version"], env={"PULUMI_SKIP_UPDATE_CHECK": "true"}, timeout=20).text
    except BakeryError:
        return "unknown"


def numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version, empty when there are none."""
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])


def check_go() -> Check:
    """Go is only wanted where the engine has to be built; the set-up brings its own then."""
    purpose = "builds the Pulumi engine where its installer can't be reached"
    found = find("go")
    if found is None:
        return Check("go", Condition.OK, "none; the set-up takes a pinned one when it must build", purpose)
    return Check("go", Condition.OK, str(found), purpose)


def check_spack(settings: Settings) -> Check:
    """Where Spack comes from; optional, as only recipes with an environment need it."""
    purpose = "installs the environments of recipes that have an env/spack.yaml"
    source = settings.spack.source
    if not source:
        fix = "pulumi config set --path 'image-bakery:spack.source' <git url, folder or archive>"
        return Check("spack", Condition.WARNING, "no source is set", purpose, fix)
    if "://" not in source and not source.startswith("git@") and not Path(source).expanduser().exists():
        return Check("spack", Condition.MISSING, f"{source} is not there", purpose, "correct image-bakery:spack.source")
    return Check("spack", Condition.OK, f"{source} {settings.spack.ref}".strip(), purpose)


def _local(settings: Settings) -> Iterator[Check]:
    for tool in tools():
        yield check_tool(tool)
    if find("packer"):
        yield check_builder()
    yield check_accelerator(settings.local)
    yield check_disk(settings.state, DISK_PER_IMAGE_GB * max(2, len(settings.select)))
    yield check_disk(paths.cache(), DISK_PER_IMAGE_GB)
    yield check_memory(max(settings.local.memory_mb, 4 * 768) + 512, available_memory_mb())


def checks(settings: Settings) -> tuple[Check, ...]:
    """Everything that the stack's oven needs of this machine. Takes about a second; changes nothing."""
    found = [check_python(), check_engine(settings.root), check_go()]
    if settings.oven is not OvenKind.CLOUD_BUILD:
        found += _local(settings)
    return (*found, check_spack(settings))
