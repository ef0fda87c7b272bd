"""One temporary QEMU machine: an overlay on an image, which is never written, and a kernel that QEMU loads.

Its files are in one folder as ``<name>.<what>``: the overlay, ``console.log``, and QEMU's own log.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.host import process, qemu
from bakery.host.boot_files import BootFiles
from bakery.host.hardware import X86, Hardware
from bakery.settings import Accelerator

SILENT_SECONDS = 120.0  # with KVM, a machine answers in a tenth of that
CONSOLE_LINES = 20


@dataclass(frozen=True)
class QemuMachine:
    """A machine. ``line`` is its kernel's command line, ``title`` identifies it in a list of processes.

    ``devices`` are QEMU's options for everything except the first disk and the console: disks become vdb, vdc, ...
    """

    folder: Path
    name: str
    title: str
    cores: int
    memory_mb: int
    line: str
    devices: tuple[str, ...]
    hardware: Hardware = X86

    @property
    def console(self) -> Path:
        """The output of its first serial line."""
        return self.folder / f"{self.name}.console.log"

    @property
    def disk(self) -> Path:
        """The overlay that it boots from."""
        return self.folder / f"{self.name}.qcow2"

    def command(self, files: BootFiles, accelerator: Accelerator, options: Sequence[str] = ()) -> list[str]:
        """Return the QEMU command, with at most the cores of this computer."""
        cores = min(self.cores, len(os.sched_getaffinity(0)))
        return [
            str(self.hardware.find()),
            *qemu.common_arguments(accelerator, cores, self.memory_mb, self.title, self.hardware),
            *("-no-reboot", "-serial", f"file:{self.console}"),
            *qemu.disk(self.disk),
            *self.devices,
            *files.arguments(self.line),
            *options,
        ]

    def start(
        self, image: Path, files: BootFiles, accelerator: Accelerator, options: Sequence[str] = ()
    ) -> process.Running:
        """Boot from an overlay on ``image``; ``options`` are added to the command.

        Raises CommandFailed if the overlay can't be created, and MissingTool.
        """
        backing = str(image.resolve())
        process.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", backing, str(self.disk)])
        # In its folder, since the path of a socket must be short.
        return process.Running(
            self.command(files, accelerator, options), cwd=self.folder, log=self.folder / f"{self.name}.qemu.log"
        )


def check_console(console: Path, accelerator: Accelerator, seconds: float) -> None:
    """Raise InfrastructureFailed if a machine with KVM has run for two minutes and written nothing to its console."""
    if accelerator is Accelerator.KVM and seconds > SILENT_SECONDS and not console_lines(console):
        hint = "KVM does not work here; set local.accelerator to tcg"
        raise InfrastructureFailed(f"the machine has written nothing to its console for {seconds:.0f} s", hint=hint)


def console_lines(console: Path) -> tuple[str, ...]:
    """Return the last lines of a machine's console; none if it does not exist or is empty."""
    text = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
    return tuple(line.rstrip() for line in text.splitlines() if line.strip())[-CONSOLE_LINES:]
