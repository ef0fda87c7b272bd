"""Command lines of QEMU machines, and which accelerator works: shared by the oven and the local cluster.

A device node proves nothing (on some machines ``/dev/kvm`` opens and the guest hangs), so :func:`accelerator` boots a
guest of some thirty instructions once per boot of this machine, and uses KVM only if that guest ends.
"""

import contextlib
import hashlib
import json
import os
import platform
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bakery import paths
from bakery.errors import TimedOut
from bakery.host import process
from bakery.host.files import write_atomic
from bakery.host.hardware import X86, Hardware
from bakery.host.proc import boot_id
from bakery.settings import Accelerator, LocalSettings

PROBE_SECONDS = 8.0
PROBE_PORT = 0xF4
PROBE_VALUE = 0x2A
# isa-debug-exit ends QEMU with (value << 1) | 1: QEMU's hw/misc/debugexit.c.
PROBE_EXIT = PROBE_VALUE << 1 | 1


def boot_sector() -> bytes:
    """Return the 512 bytes that a BIOS loads at 0x7c00: turn on paging, write PROBE_VALUE to the debug port, halt.

    Paging is what fails under a broken nested KVM: there a guest without page tables runs to its end, and every kernel
    hangs. Instructions and descriptors: Intel's Software Developer's Manual, volumes 2 and 3.
    """
    code = (
        "fa 2e 66 0f 01 16 6b 7c",  # cli; lgdt [descriptors' address]
        "0f 20 c0 0c 01 0f 22 c0 ea 15 7c 08 00",  # cr0 |= 1, protected mode; jmp 0x08:next
        "66 b8 10 00 8e d8 8e c0",  # ds = es = 0x10
        "bf 00 00 01 00 0f 22 df",  # edi = cr3 = 0x10000, the page directory
        "b8 83 00 00 00 66 b9 00 04",  # eax = 0x83, a present, writable page of 4 MiB at 0; cx = 1024
        "ab 05 00 00 40 00 66 49 75 f6",  # stosd; eax += 4 MiB; repeat cx times
        "0f 20 e0 0c 10 0f 22 e0",  # cr4 |= 0x10, pages of 4 MiB are allowed
        "0f 20 c0 0f ba e8 1f 0f 22 c0 eb 00",  # cr0 |= 1 << 31, paging; jmp next
        f"b0 {PROBE_VALUE:02x} e6 {PROBE_PORT:02x} f4 eb fd",  # out PROBE_PORT, PROBE_VALUE; hlt
        "00 00 00 00 00 00 00 00",  # descriptors: none,
        "ff ff 00 00 00 9a cf 00 ff ff 00 00 00 92 cf 00",  # 4 GiB of code, 4 GiB of data
        "17 00 53 7c 00 00",  # size - 1 and address of the descriptors
    )
    return bytes.fromhex("".join(code)).ljust(510, b"\0") + b"\x55\xaa"


def machine_arguments(accelerator: Accelerator, hardware: Hardware = X86) -> list[str]:
    """Return ``-machine`` and ``-cpu``; the accelerator is a part of ``-machine``, so ``-accel`` must not be added."""
    cpu = "host" if accelerator is Accelerator.KVM else hardware.processor
    name, *options = hardware.board
    return ["-machine", ",".join((name, f"accel={accelerator}", *options)), "-cpu", cpu]


def common_arguments(
    accelerator: Accelerator, cores: int, memory_mb: int, name: str, hardware: Hardware = X86
) -> list[str]:
    """Return the options of a machine except disks, networks and kernel: no display, default devices or monitor."""
    return [
        *("-name", name),
        *machine_arguments(accelerator, hardware),
        *("-smp", str(cores), "-m", str(memory_mb)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-device", "virtio-rng-pci"),
    ]


def disk(file: Path, *, form: str = "qcow2", read_only: bool = False, throw_away: bool = True) -> list[str]:
    """Return a virtio disk; a crash of this machine may lose a ``throw_away`` one, so its flushes are ignored."""
    options = [f"file={comma(file)}", f"format={form}", "if=virtio", "discard=unmap", "detect-zeroes=unmap"]
    options.append("cache=unsafe" if throw_away else "cache=writeback")
    if read_only:
        options = [*options[:3], "readonly=on"]
    return ["-drive", ",".join(options)]


def user_network(forwards: Mapping[int, int], identity: str = "user0", mac: str = "") -> list[str]:
    """Return a user-mode card; ``forwards`` maps ports of this machine's loopback address to ports of the guest."""
    options = ["user", f"id={identity}"]
    options += [f"hostfwd=tcp:127.0.0.1:{here}-:{there}" for here, there in forwards.items()]
    device = f"virtio-net-pci,netdev={identity}" + (f",mac={mac}" if mac else "")
    return ["-netdev", ",".join(options), "-device", device]


def group_network(group: str, mac: str, identity: str = "net0") -> list[str]:
    """Return a card on a network that all machines of a group share: multicast on the loopback device, unprivileged.

    Address and port are derived from the group, out of 2**38 in 239/8 (RFC 2365), so that groups do not collide.
    """
    seed = hashlib.sha256(f"network of {group}".encode()).digest()
    address = f"239.{seed[0]}.{seed[1]}.{seed[2]}:{20000 + int.from_bytes(seed[3:5], 'big') % 2**14}"
    network = f"socket,id={identity},mcast={address},localaddr=127.0.0.1"
    return ["-netdev", network, "-device", f"virtio-net-pci,netdev={identity},mac={mac}"]


def free_ports(count: int) -> list[int]:
    """Return free TCP ports of the loopback address; another process may take one before they are used."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]
    finally:
        for one in sockets:
            one.close()


def accelerator(settings: LocalSettings, cache: Path | None = None, *, hardware: Hardware = X86) -> Accelerator:
    """Return KVM or TCG: the setting, or for AUTO the result of the probe guest (cached until the machine reboots).

    Other processors than this machine's are emulated whatever the setting says. The probe runs on x86_64 only.
    """
    if hardware.host != platform.machine():
        return Accelerator.TCG
    if settings.accelerator is not Accelerator.AUTO:
        return settings.accelerator
    if hardware is not X86:
        return Accelerator.TCG
    file = (cache or paths.cache()) / "accelerator.json"
    key = [boot_id(), os.getuid(), _device_state(), boot_sector().rstrip(b"\0").hex()]
    with contextlib.suppress(OSError, ValueError):
        known = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(known, dict) and known.get("key") == key:
            return Accelerator(known["accelerator"])
    working = Accelerator.KVM if kvm_works() else Accelerator.TCG
    write_atomic(file, json.dumps({"key": key, "accelerator": working}).encode())
    return working


def kvm_works(timeout: float = PROBE_SECONDS) -> bool:
    """Return whether a guest ends within ``timeout`` seconds under KVM."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and probe(Accelerator.KVM, timeout)


def probe(accelerator: Accelerator, timeout: float = PROBE_SECONDS) -> bool:
    """Boot the guest of 512 bytes with the options of real machines; return whether it ended. Raises MissingTool."""
    with tempfile.TemporaryDirectory(prefix="bakery-probe-") as folder:
        sector = Path(folder) / "boot.img"
        sector.write_bytes(boot_sector().ljust(1 << 20, b"\0"))  # a BIOS finds no geometry on a smaller disk
        command = [
            str(X86.find()),
            *common_arguments(accelerator, 1, 64, "probe"),
            *disk(sector, form="raw", read_only=True),
            *("-device", f"isa-debug-exit,iobase={PROBE_PORT:#x},iosize=1", "-no-reboot"),
        ]
        try:
            return process.Running(command).wait(timeout=timeout) == PROBE_EXIT
        except TimedOut:
            return False


def comma(file: Path) -> str:
    """Return a file name for use inside a QEMU option: commas are doubled."""
    return str(file).replace(",", ",,")


def _device_state() -> str:
    """Return mode and owner of ``/dev/kvm``, since a change of either requires a new probe."""
    try:
        device = Path("/dev/kvm").stat()
    except OSError:
        return "absent"
    return f"{device.st_mode:o} {device.st_uid} {device.st_gid}"
