"""The kernel command line of a local machine: it starts the agent, skips parts of the boot, and sets the clock rate.

systemd-run-generator(8) starts the agent when the machine has booted to basic.target. Under emulation such a boot takes
18 s of processor time; without the units below, which no job needs, 12 s (Debian 12, 2.6 GHz).
"""

import ctypes
import hashlib
import mmap
import platform
import time
from functools import cache

from bakery.fluid_run.clusters.seed import AGENT_COMMAND
from bakery.host.hardware import X86, Hardware
from bakery.settings import Accelerator

SEED_FOLDER = "/var/lib/fluid-run/seed"
MASKED = (
    *(f"modprobe@{module}.service" for module in ("configfs", "dm_mod", "drm", "efi_pstore", "fuse", "loop")),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount"),
    *("systemd-update-utmp.service", "systemd-random-seed.service", "systemd-sysusers.service"),
    *("systemd-journal-flush.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "dev-hugepages.mount"),
    # Daily work of Debian, which a clock that is set forward would start in the middle of a job.
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("logrotate.timer", "man-db.timer"),
)
# rdtsc; shl rdx, 32; or rax, rdx; ret
READ_TSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")


def agent_start(name: str) -> str:
    """Return the shell line that unpacks the seed disk and becomes the agent of the machine ``name``."""
    return (
        f"mkdir -p {SEED_FOLDER} && cd {SEED_FOLDER} && tar -xf /dev/vdb"
        f" && exec {AGENT_COMMAND} --name {name} --workspace workspace --disk /dev/vdc"
    )


def agent_wait() -> str:
    """Return the shell line of a machine whose run is not known yet: its agent waits for a name and another seed."""
    return (
        f"mkdir -p {SEED_FOLDER} && cd {SEED_FOLDER} && tar -xf /dev/vdb"
        f" && exec {AGENT_COMMAND} --seed /dev/vdb --workspace workspace --disk /dev/vdc"
    )


def machine_id(identity: str) -> str:
    """Return a machine id, see machine-id(5), of what is unique for each machine."""
    return hashlib.sha256(identity.encode()).hexdigest()[:32]


def kernel_words(identity: str, root: str, accelerator: Accelerator, start: str, hardware: Hardware = X86) -> str:
    """Return the whole command line.

    ``root`` has the ``root=...`` words of the image's own boot entry, ``start`` is a shell line without quotes, and
    ``identity`` is unique for each machine. The line sets the machine id and declares first boot and updates as done,
    as systemd would spend seconds on presets, linker cache and hardware database.
    """
    clock = clock_rate() if accelerator is Accelerator.TCG and hardware is X86 else 0
    return " ".join(
        [
            root or "root=/dev/vda1",
            hardware.handed_in_arguments,
            *([f"tsc_early_khz={clock}"] if clock else []),
            f"systemd.machine_id={machine_id(identity)}",
            "systemd.condition-first-boot=no systemd.condition-needs-update=no",
            # An agent that was killed cannot report it; its machine ends with it, which the host notices.
            "fsck.mode=skip systemd.run_success_action=none systemd.run_failure_action=poweroff",
            *(f"systemd.mask={unit}" for unit in MASKED),
            f"systemd.run=\"/bin/sh -c '{start}'\"",
        ]
    )


@cache
def clock_rate(seconds: float = 0.05) -> int:
    """Return the rate of this processor's time stamp counter in kHz; 0 if it cannot be read.

    An emulated machine sees that counter. Its kernel measures the rate against an emulated timer; on a busy host the
    result is wrong by a factor of four, and clocks and Slurm's time limits run four times too fast. The kernel line
    gives the kernel the correct rate.
    """
    if platform.machine() != "x86_64":
        return 0
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:  # a hardened kernel forbids such pages
        return 0
    page.write(READ_TSC)
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    began, first = time.monotonic_ns(), int(read())
    time.sleep(seconds)
    ended, last = time.monotonic_ns(), int(read())
    return int((last - first) * 1_000_000 / (ended - began))
