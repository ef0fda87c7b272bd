"""Boots the machine of a failed bake again, so that a user can examine it."""

import shlex
from pathlib import Path

from bakery.host import process, qemu
from bakery.ovens.local.template import BakeMachine


def boot(machine: BakeMachine, disk: Path, user: str) -> tuple[int, str]:
    """Boot the failed disk in a machine that outlives this process; return its process id and the command to log in.

    It has the same seed disk, so the temporary key of the bake still works.
    """
    port = qemu.free_ports(1)[0]
    pid_file = machine.work / "machine.pid"
    command = [
        qemu.QEMU,
        *qemu.common_arguments(machine.accelerator, machine.cores, machine.memory_mb, machine.work.name),
        *qemu.disk(disk),
        *("-drive", f"file={qemu.comma(machine.seed)},format=raw,if=none,id=seed,readonly=on"),
        *("-device", "virtio-blk-pci,drive=seed,serial=bakery-seed"),
        *qemu.user_network({port: 22}),
        *("-serial", f"file:{machine.work / 'console-kept.log'}"),
        *machine.kernel,
        *("-daemonize", "-pidfile", str(pid_file)),
    ]
    process.output(command)
    trust = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
    login = f"ssh -i {shlex.quote(str(machine.key))} -p {port} {trust} {user}@127.0.0.1"
    return int(pid_file.read_text(encoding="ascii")), login
