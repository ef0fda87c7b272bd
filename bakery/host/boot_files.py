"""Extracts the kernel of an image, so that QEMU boots its machines without a boot loader.

This saves seconds of emulated GRUB, and the kernel's command line starts the agent in every image with systemd, with no
change to the image. DOS and GUID partition tables (UEFI specification, chapter 5) are supported, and
ext2/3/4 file systems with a ``grub.cfg``, which debugfs reads without mounting them.
"""

import re
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bakery.errors import CommandFailed, InfrastructureFailed, NoKernel
from bakery.host import distribution, process, quick_init
from bakery.progress.activity import Activity

SECTOR = 512
GRUB_FILES = ("/boot/grub/grub.cfg", "/grub/grub.cfg", "/boot/grub2/grub.cfg", "/grub2/grub.cfg")
SEED = "/usr/lib/image-bakery/seed"
LEAKED = 3  # exit code of qemu-img check: parts of the file are unused, which is harmless


@dataclass(frozen=True)
class BootFiles:
    """Kernel and initial file system as files of this machine, and the ``root=...`` words of the image's GRUB entry.

    ``seeded`` is whether the image unpacks a seed disk by itself, as the bakery's own base images do.
    """

    kernel: Path
    initrd: Path
    root: str
    seeded: bool = True

    def arguments(self, words: str) -> list[str]:
        """Return QEMU's options that load the kernel; ``words`` is the kernel's whole command line."""
        return ["-kernel", str(self.kernel), "-initrd", str(self.initrd), "-append", words]


@dataclass(frozen=True)
class GrubEntry:
    """The first entry of a ``grub.cfg``; its paths are those that GRUB uses."""

    kernel: str
    initrd: str
    root: str


def partition_offsets(head: bytes) -> tuple[int, ...]:
    """Return where file systems may start, in bytes, from the first 34 sectors of a disk; 0 means the whole disk."""
    if head[SECTOR : SECTOR + 8] == b"EFI PART":
        count, size = struct.unpack_from("<II", head, SECTOR + 80)
        entries = [head[2 * SECTOR + n * size :][:size] for n in range(min(count, 128))]
        starts = [struct.unpack_from("<Q", entry, 32)[0] for entry in entries if len(entry) == size and any(entry[:16])]
    else:
        entries = [head[446 + n * 16 :][:16] for n in range(4)]
        starts = [struct.unpack_from("<I", entry, 8)[0] for entry in entries if len(entry) == 16 and entry[4]]
    return (0, *(start * SECTOR for start in starts))


def grub_entry(text: str) -> GrubEntry | None:
    """Return the first menu entry with a kernel and an initial file system; None if there is none."""
    kernel = re.search(r"^\s*linux(?:16|efi)?\s+(\S+)(.*)$", text, re.MULTILINE)
    initrd = re.search(r"^\s*initrd(?:16|efi)?\s+(\S+)", text, re.MULTILINE)
    if kernel is None or initrd is None:
        return None
    root = " ".join(word for word in kernel[2].split() if re.match(r"(root|rootflags|rootfstype)=", word))
    return GrubEntry(kernel[1], initrd[1], root)


def extract(image: Path, folder: Path, activity: Activity) -> BootFiles:
    """Copy kernel and initial file system from a qcow2 image into ``folder``; the image is only read.

    Takes about 1.5 s for an image of 1 GB. Raises NoKernel, InfrastructureFailed if the image is damaged, and
    MissingTool.
    """
    debugfs = process.find_tool("debugfs", distribution.install("e2fsprogs"))
    _refuse_damaged(image, activity)
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "disk.raw"
    process.run(["qemu-img", "convert", "-O", "raw", str(image), str(raw)], activity=activity)
    try:
        with raw.open("rb") as disk:
            offsets = partition_offsets(disk.read(34 * SECTOR))
        for offset in offsets:
            if files := _from_file_system(_FileSystem(debugfs, folder, f"{raw.name}?offset={offset}")):
                return files
    finally:
        raw.unlink(missing_ok=True)
    hint = "the local cluster boots images with an ext4 /boot and a grub.cfg"
    raise NoKernel(f"no kernel was found in {image.name}", hint=hint)


def _refuse_damaged(image: Path, activity: Activity) -> None:
    """Raise InfrastructureFailed if a part of the image is missing: a machine would wait for it indefinitely."""
    if not is_sound(image, activity):
        hint = "delete the file and run pulumi up: the image is baked again"
        raise InfrastructureFailed(f"the image file {image} is damaged or cut off", hint=hint)


def is_sound(image: Path, activity: Activity) -> bool:
    """Return whether a qcow2 file is complete and consistent, without what it is an overlay on; data is not read."""
    try:
        process.run(["qemu-img", "check", "-q", "-f", "qcow2", str(image)], activity=activity)
    except CommandFailed as error:
        return error.code == LEAKED
    return True


@dataclass(frozen=True)
class _FileSystem:
    """An ext file system inside a raw disk, read with debugfs.

    debugfs runs in ``folder`` and is given file names only, since it splits a path with blanks.
    """

    debugfs: Path
    folder: Path
    device: str

    def ask(self, request: str) -> str:
        """Return the output of debugfs; empty if there is no such file system or file."""
        try:
            return process.output([str(self.debugfs), "-R", request, self.device], cwd=self.folder)
        except CommandFailed:
            return ""

    def resolve(self, path: str) -> str:
        """Return the path with its symbolic links resolved."""
        for _ in range(8):
            link = re.search(r'Fast link dest: "([^"]+)"', self.ask(f'stat "{path}"'))
            if link is None:
                return path
            path = str(PurePosixPath(path).parent / link[1])
        return path

    def dump(self, path: str, target: Path) -> bool:
        """Copy a file into the folder; return whether it exists."""
        target.unlink(missing_ok=True)
        self.ask(f'dump "{self.resolve(path)}" {target.name}')
        return target.is_file() and target.stat().st_size > 0


def _from_file_system(system: _FileSystem) -> BootFiles | None:
    """Copy what the first grub.cfg of a file system names; None if it names no files of that file system."""
    for file in GRUB_FILES:
        if (entry := grub_entry(system.ask(f"cat {file}"))) is None:
            continue
        seeded = "Inode: " in system.ask(f"stat {SEED}")
        files = BootFiles(system.folder / "vmlinuz", system.folder / "initrd", entry.root, seeded)
        if system.dump(entry.kernel, files.kernel) and system.dump(entry.initrd, files.initrd):
            quick_init.append(files.initrd)
            return files
    return None
