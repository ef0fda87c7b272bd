"""One QEMU machine of a local cluster: it boots, or continues from a boot snapshot, and starts its agent."""

from __future__ import annotations

import base64
import os
import re
import secrets
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.agent import wire
from bakery.fluid_run.clusters import boot_snapshots, mailbox
from bakery.fluid_run.clusters.boot_snapshots import BootSnapshot, BootSnapshots
from bakery.fluid_run.clusters.kernel_line import agent_start, agent_wait, kernel_words, machine_id
from bakery.fluid_run.clusters.run_spec import MachineSpec, Role
from bakery.fluid_run.clusters.seed import SEED_BYTES, agent_digest, write_agent
from bakery.host import locks, process, qemu, qmp, quick_init
from bakery.host.boot_files import BootFiles
from bakery.host.files import discard
from bakery.host.hardware import X86, Hardware
from bakery.host.machine import QemuMachine, console_lines
from bakery.progress.activity import Activity
from bakery.settings import Accelerator

BOOT_SECONDS = 300.0  # until a machine waits; an idle computer needs a twentieth of that
STEP_SECONDS = 0.1
DEBUG_SHELL = "systemd.debug_shell"  # systemd-debug-generator(8)
STAY_UP = "systemd.run_failure_action=none"  # the last one counts: a user looks why the agent failed
WAITING = "waiting"  # identifies every machine that waits
ENTROPY_BYTES = 64


@dataclass(frozen=True)
class MachineKind:
    """What all machines of a cluster have in common. With ``open_shell`` the second serial line is a socket."""

    accelerator: Accelerator
    hardware: Hardware = X86
    open_shell: bool = False

    @property
    def has_snapshots(self) -> bool:
        """Whether machines of this kind can be saved: with KVM a boot takes few seconds, and others were not tried."""
        return self.accelerator is Accelerator.TCG and self.hardware is X86


def machine(
    spec: MachineSpec, root: str, kind: MachineKind, run_id: str, folder: Path, *, start: str = ""
) -> QemuMachine:
    """Return one machine of the run, which starts its agent; ``root`` is that of :class:`BootFiles`.

    ``start`` is another shell line that it starts.
    """
    hardware = kind.hardware
    line = kernel_words(
        f"{run_id} {spec.name}", root, kind.accelerator, start or agent_start(spec.name), hardware=hardware
    )
    shell = hardware.second_line(shell_socket(spec)) if kind.open_shell else []
    return QemuMachine(
        folder=folder,
        name=spec.name,
        title=f"{run_id}-{spec.name}",
        cores=spec.cpus,
        memory_mb=spec.memory_mb,
        line=f"{line} {STAY_UP} {DEBUG_SHELL}={hardware.second}" if kind.open_shell else line,
        devices=(
            *shell,
            # The agent finds the disks by their order: vdb, vdc.
            *qemu.disk(folder / "seed.tar", form="raw", read_only=True),
            *qemu.disk(folder / f"{spec.name}.out", form="raw"),
            *qemu.group_network(run_id, spec.mac),
        ),
        hardware=hardware,
    )


def shell_socket(spec: MachineSpec) -> str:
    """Return the socket of a machine's open shell, relative to the run's folder."""
    return f"{spec.name}.shell"


def snapshot_name(spec: MachineSpec, kind: MachineKind, image: Path) -> str:
    """Return the name of the snapshot from which a machine can continue. Raises OSError and MissingTool."""
    waiting = _waiting(spec, "", kind, Path())
    # The rate of the clock is measured, and is the same until this computer restarts.
    line = re.sub(r"tsc_early_khz=\d+", "", waiting.line)
    size = (min(spec.cpus, len(os.sched_getaffinity(0))), spec.memory_mb)
    script = quick_init.SCRIPT.read_text(encoding="utf-8")
    words = (*map(str, size), str(kind.open_shell), kind.hardware.name, line, agent_digest(), script)
    return boot_snapshots.name(image, kind.hardware.find(), words)


def save(
    store: BootSnapshots, spec: MachineSpec, kind: MachineKind, image: Path, *, files: BootFiles, activity: Activity
) -> BootSnapshot:
    """Boot a machine until it waits, and save it, unless another process does; return the snapshot.

    Raises InfrastructureFailed if it does not boot or there is no room, CommandFailed, MissingTool and Interrupted.
    """
    name = snapshot_name(spec, kind, image)
    with locks.hold(store.lock(name), "booting a machine for a snapshot", activity):
        if found := store.find(name):
            return found
        if lack := store.lack(spec.memory_mb):
            raise InfrastructureFailed(lack)
        scratch = store.scratch()
        try:
            _boot_and_save(_waiting(spec, files.root, kind, scratch), image, files, kind, activity)
            return store.publish(scratch, name, image)
        except OSError as error:
            raise InfrastructureFailed(f"{error.filename}: {error.strerror}") from error
        finally:
            discard(scratch)


def _waiting(spec: MachineSpec, root: str, kind: MachineKind, folder: Path) -> QemuMachine:
    anyone = MachineSpec(boot_snapshots.MACHINE, Role.COMPUTE, spec.cpus, spec.memory_mb, mac=wire.WAITING_MAC)
    return machine(anyone, root, kind, WAITING, folder, start=agent_wait())


def _boot_and_save(made: QemuMachine, image: Path, files: BootFiles, kind: MachineKind, activity: Activity) -> None:
    folder, out = made.folder, made.folder / f"{made.name}.out"
    for file in (files.kernel, files.initrd):
        shutil.copyfile(file, folder / file.name)
    with (folder / "seed.tar").open("wb") as sink:
        write_agent(sink)
        sink.truncate(SEED_BYTES)
    mailbox.make_disk(out)
    running = made.start(image, files, kind.accelerator, qmp.option(_monitor(made)))
    try:
        with qmp.connected(folder, _monitor(made), running) as monitor:
            _wait(made, out, running, activity)
            monitor.save(boot_snapshots.STATE, folder, activity)
    finally:
        running.stop()
    kept = {boot_snapshots.STATE, made.disk.name, made.console.name, files.kernel.name, files.initrd.name}
    for file in folder.iterdir():
        if file.name not in kept:
            file.unlink()


def _wait(made: QemuMachine, out: Path, running: process.Running, activity: Activity) -> None:
    """Wait until the machine waits. Raises InfrastructureFailed."""
    deadline = time.monotonic() + BOOT_SECONDS
    while mailbox.read_disk(out) is None:
        activity.sleep(STEP_SECONDS)
        if running.poll() is not None or time.monotonic() > deadline:
            raise InfrastructureFailed("the machine did not boot", tail=console_lines(made.console))


def resume(
    saved: BootSnapshot, spec: MachineSpec, kind: MachineKind, run_id: str, *, folder: Path, activity: Activity
) -> process.Running:
    """Start a machine of the run from a snapshot, with an identity of its own.

    Raises InfrastructureFailed, CommandFailed, MissingTool and Interrupted, and OSError.
    """
    made = machine(replace(spec, mac=wire.WAITING_MAC), "", kind, run_id, folder)
    shutil.copyfile(saved.console, folder / f"{spec.name}.boot.log")
    options = [*qmp.option(_monitor(made)), "-incoming", "defer", "-S"]
    running = made.start(saved.disk, saved.files, kind.accelerator, options)
    try:
        with qmp.connected(folder, _monitor(made), running) as monitor:
            monitor.load(saved.state, activity)
            mailbox.give_identity(folder / f"{spec.name}.out", _identity(spec, run_id))
            monitor.ask("cont")
    except BaseException:
        running.stop()
        raise
    return running


def _identity(spec: MachineSpec, run_id: str) -> dict[str, str | float]:
    """Return what the machine takes as its own; it sets its clock as soon as it reads this."""
    return {
        "name": spec.name,
        "mac": spec.mac,
        "machine_id": machine_id(f"{run_id} {spec.name}"),
        "entropy": base64.b64encode(secrets.token_bytes(ENTROPY_BYTES)).decode(),
        "time": time.time(),
    }


def _monitor(made: QemuMachine) -> str:
    return f"{made.name}.qmp"
