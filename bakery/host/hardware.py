"""The hardware that QEMU gives the machines of each architecture: program, board, console and firmware.

The architectures are those of :mod:`bakery.plan.architecture`; an image without one is for x86_64. Boards: QEMU's
docs/system/i386/pc.rst and docs/system/arm/virt.rst.
"""

from dataclasses import dataclass
from pathlib import Path

from bakery.errors import BakeFailed, MissingTool
from bakery.host import distribution, process, quick_init

ARM_FAMILY = "-arm64"  # how the name of a public family for Arm ends on Compute Engine, and here


@dataclass(frozen=True)
class Hardware:
    """One architecture.

    ``program`` is QEMU's and ``package`` the one that has it, as Debian 12 calls it. ``board`` has the words of
    ``-machine`` except the accelerator, and ``processor`` is ``-cpu`` where it is emulated. ``host`` and ``debian`` are
    the architecture's names for the kernel and for Debian. ``firmware`` is UEFI, of ``firmware_package``; with ``bios``
    the board has a BIOS, too. ``console`` is the first serial line, ``second`` another. ``words`` are of the kernel's
    command line, for this board only, and ``unneeded`` are modules that udev would load and no machine here uses.
    """

    name: str
    program: str
    package: str
    board: tuple[str, ...]
    processor: str
    host: str
    debian: str
    firmware: Path
    firmware_package: str
    bios: bool
    console: str
    second: str
    words: str
    unneeded: tuple[str, ...]

    @property
    def hint(self) -> str:
        """Return how to get QEMU."""
        return distribution.install(self.package, "qemu-utils")

    @property
    def kernel_arguments(self) -> str:
        """Return the kernel's command line of an image, without its root."""
        words = f"rw console={self.console} net.ifnames=0 mitigations=off quiet systemd.show_status=false audit=0"
        return f"{words} {self.words}".rstrip()

    @property
    def handed_in_arguments(self) -> str:
        """Return the command line for a kernel that QEMU loads, which no image contains: it halves an emulated boot.

        No machine here uses the kernel's own cryptography, which is tested when it is loaded. With norandmaps, programs
        have the same addresses in each process, so that an emulator can reuse its translations: a new process takes a
        quarter of the time, dpkg half.
        """
        fast = f"{quick_init.ARGUMENT} norandmaps cryptomgr.notests modprobe.blacklist={','.join(self.unneeded)}"
        return f"{self.kernel_arguments} {fast}"

    def uefi(self, why: str) -> Path:
        """Return the firmware; ``why`` begins the sentence of the error. Raises MissingTool."""
        if not self.firmware.exists():
            hint = distribution.install(self.firmware_package)
            raise MissingTool(f"{why}, and {self.firmware} does not exist", hint=hint)
        return self.firmware

    def second_line(self, socket: str) -> list[str]:
        """Return QEMU's options that connect the second serial line with a socket of this machine."""
        if self.bios:
            return ["-serial", f"unix:{socket},server=on,wait=off"]
        line = f"socket,id=second,path={socket},server=on,wait=off"
        return ["-chardev", line, "-device", "pci-serial,chardev=second"]

    def find(self) -> Path:
        """Return QEMU's program. Raises MissingTool."""
        return process.find_tool(self.program, self.hint)


X86 = Hardware(
    name="x86_64",
    program="qemu-system-x86_64",
    package="qemu-system-x86",
    board=("q35", "smm=off"),  # without system management mode a boot is faster, and older KVMs work
    processor="max",  # all that can be emulated
    host="x86_64",
    debian="amd64",
    firmware=Path("/usr/share/ovmf/OVMF.fd"),
    firmware_package="ovmf",
    bios=True,
    console="ttyS0",
    second="ttyS1",
    words="tsc=reliable no_timer_check",
    # Nested machines, cryptography and power buttons; AES and AVX in programs are not affected.
    unneeded=(
        *("kvm_amd", "kvm_intel", "aesni_intel", "ghash_clmulni_intel", "sha1_ssse3", "sha256_ssse3", "sha512_ssse3"),
        *("crc32_pclmul", "crct10dif_pclmul", "cryptd", "powernow_k8", "button", "evdev", "serio_raw", "qemu_fw_cfg"),
    ),
)
ARM = Hardware(
    name="arm64",
    program="qemu-system-aarch64",
    package="qemu-system-arm",
    board=("virt", "gic-version=3"),
    processor="neoverse-n1",  # that of t2a; the pointer authentication of "max" is slow to emulate
    host="aarch64",
    debian="arm64",
    firmware=Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
    firmware_package="qemu-efi-aarch64",
    bios=False,
    console="ttyAMA0",
    second="ttyS0",  # a card: the board has one line
    words="",
    unneeded=("cryptd", "button", "evdev", "qemu_fw_cfg"),
)


def hardware_of(architecture: str) -> Hardware:
    """Return the hardware of an image's architecture, "" of none. Raises BakeFailed for another one than these two."""
    for one in (X86, ARM):
        if architecture in (one.name, ""):
            return one
    hint = f"write {ARM.name} or {X86.name}: image_architecture"
    raise BakeFailed(f"this computer has no machines for {architecture}", hint=hint)
