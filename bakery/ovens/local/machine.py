"""The machine that bakes: its disks, how their content becomes an image, and how it is booted again to be examined."""

import json
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from bakery.errors import BakeFailed, CommandFailed, InfrastructureFailed
from bakery.host import distribution, process, qemu, tar
from bakery.host.boot_files import BootFiles, is_sound
from bakery.host.hardware import X86, Hardware
from bakery.progress.activity import Activity
from bakery.recipe.model import Json
from bakery.settings import Accelerator

FILES = Path(__file__).with_name("files")
DISK_NAME = "disk.qcow2"
DONE = "bakery-finish: done"
CLOUD_SEED = "cidata"
LOGIN = "login.json"  # in the folder of a failed bake whose machine is up: port and user of its ssh
TRUST = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")
HOST_NAME = "echo localhost >/proc/sys/kernel/hostname"  # each sudo would wait seconds for an unknown name
# A bake that a crash interrupts is discarded, so nothing is flushed; freed blocks don't reach the image.
DISK_OPTIONS = "cache=unsafe,discard=unmap,detect-zeroes=unmap"


@dataclass(frozen=True)
class BakeMachine:
    """The machine that a bake runs in.

    ``console`` is the file of its serial port, ``ports`` the range in which Packer chooses a port for ssh. Without
    ``boot`` the disk's own boot loader runs, from ``firmware`` (a BIOS, if there is none), and a disk for cloud-init
    unpacks the seed.
    """

    work: Path
    console: Path
    accelerator: Accelerator
    cores: int
    memory_mb: int
    ports: tuple[int, int]
    boot: BootFiles | None = None
    firmware: Path | None = None
    hardware: Hardware = X86

    @property
    def overlay(self) -> Path:
        """A small overlay on the base image; Packer copies it."""
        return self.work / "overlay.qcow2"

    @property
    def kernel(self) -> list[str]:
        """QEMU's options to load a kernel; empty without ``boot``."""
        return self.boot.arguments(f"{self.boot.root} {self.hardware.handed_in_arguments}") if self.boot else []

    @property
    def disk(self) -> Path:
        """The baked disk."""
        return self.work / "output" / DISK_NAME

    @property
    def seed(self) -> Path:
        """The tar archive on the seed disk."""
        return self.work / "seed.tar"

    @property
    def cloud_seed(self) -> list[str]:
        """QEMU's options for the disk of cloud-init, which QEMU makes from a folder; empty with ``boot``."""
        if self.boot:
            return []
        disk = f"file.driver=vvfat,file.dir={qemu.comma(self.work / CLOUD_SEED)},file.label=cidata,format=raw"
        firmware = ("-bios", str(self.firmware)) if self.firmware else ()
        return ["-drive", f"{disk},if=none,id=cloud,readonly=on", "-device", "virtio-blk-pci,drive=cloud", *firmware]

    @property
    def key(self) -> Path:
        """The temporary private key that Packer logs in with."""
        return self.work / "key"

    @property
    def builder(self) -> Json:
        """The ``qemu`` builder: settings that were measured to be fast, everything on the loopback address."""
        return {
            "type": "qemu",
            **({} if self.hardware is X86 else {"qemu_binary": self.hardware.program}),
            "disk_image": True,
            "iso_url": f"file://{quote(str(self.overlay), safe='/$&+,:;=@')}",  # escaped exactly as by Go's net/url
            "iso_checksum": "none",
            "format": "qcow2",
            "output_directory": str(self.disk.parent),
            "vm_name": self.disk.name,
            "skip_resize_disk": True,
            "skip_compaction": True,
            "use_backing_file": False,
            "headless": True,
            "boot_wait": "1ms",  # 0 would mean the default of 10 s
            "accelerator": "none",  # it is in the -machine of qemuargs
            "communicator": "ssh",
            "ssh_private_key_file": str(self.key),
            "host_port_min": self.ports[0],
            "host_port_max": self.ports[1],
            "shutdown_command": "sudo -n /bin/sh /run/bakery/finish",
            "shutdown_timeout": "10m",
            "qemuargs": self._arguments(),
        }

    def _arguments(self) -> list[list[str]]:
        """Return QEMU's options; each replaces all of Packer's own options of that name."""
        disk = f"file={qemu.comma(self.disk)},format=qcow2,if=none,id=disk,{DISK_OPTIONS}"
        return [
            *_pairs(qemu.machine_arguments(self.accelerator, self.hardware)),
            ["-smp", str(self.cores)],
            ["-m", str(self.memory_mb)],
            ["-display", "none"],
            ["-nodefaults", ""],
            ["-serial", f"file:{self.console}"],
            ["-netdev", "user,id=user.0,ipv6=off,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22"],
            ["-device", "virtio-net-pci,netdev=user.0"],
            ["-device", "virtio-rng-pci"],
            ["-drive", disk],
            ["-device", "virtio-blk-pci,drive=disk,bootindex=1"],  # before the seed; 0 is that of a kernel QEMU loads
            ["-drive", f"file={qemu.comma(self.seed)},format=raw,if=none,id=seed,readonly=on"],
            ["-device", "virtio-blk-pci,drive=seed,serial=bakery-seed"],
            *_pairs(self.cloud_seed),
            *_pairs(self.kernel),
        ]


def _pairs(words: Sequence[str]) -> list[list[str]]:
    return [[words[at], words[at + 1]] for at in range(0, len(words), 2)]


def make_overlay(base: Path, target: Path, size_gb: int) -> None:
    """Create a small qcow2 on top of ``base``, of at least ``size_gb`` GiB for the machine."""
    target.unlink(missing_ok=True)
    with base.open("rb") as source:  # bytes 24 to 31 are the virtual size (QEMU's docs/interop/qcow2.txt)
        size = max(size_gb << 30, int.from_bytes(source.read(32)[24:32], "big"))
    process.output(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(base), str(target), str(size)])


def make_seed(work: Path, user: str) -> None:
    """Write the seed disk ``seed.tar`` and the key pair ``key`` into the bake's folder.

    The seed has the temporary key, a host key, and a bake's first and last script. The host key is created here, since
    an emulated processor is slow; finish.sh removes it from the image.
    """
    public = make_key(work / "key")
    host_public = make_key(work / "host_key")
    files = (
        ("run/bakery/apply", script("apply.sh", user), 0o755),
        ("run/bakery/finish", script("finish.sh", user), 0o755),
        ("run/bakery/key.pub", public, 0o644),
        ("etc/ssh/ssh_host_ed25519_key", (work / "host_key").read_bytes(), 0o600),
        ("etc/ssh/ssh_host_ed25519_key.pub", host_public, 0o644),
    )
    (work / "seed.tar").write_bytes(tar.pack(files))
    _make_cloud_seed(work / CLOUD_SEED)


def _make_cloud_seed(folder: Path) -> None:
    """Write the files of cloud-init's datasource NoCloud, whose only work is to unpack the seed disk.

    No other module of cloud-init than those that grow the disk may change the image: it makes no user, no host keys and
    no sources of packages. Format: cloud-init's documentation, reference/datasources/nocloud.
    """
    unpack = (FILES / "root/usr/lib/image-bakery/seed").read_text(encoding="utf-8")
    user = {
        "bootcmd": [["/bin/sh", "-c", f"{HOST_NAME}\n{unpack}"]],
        "cloud_init_modules": ["bootcmd", "growpart", "resizefs"],
        "cloud_config_modules": [],
        "cloud_final_modules": [],
    }
    folder.mkdir(exist_ok=True)
    (folder / "user-data").write_text(f"#cloud-config\n{json.dumps(user)}\n", encoding="utf-8")
    (folder / "meta-data").write_text(f"instance-id: bakery-{os.urandom(8).hex()}\n", encoding="utf-8")


def make_key(file: Path) -> bytes:
    """Write a new key pair, and return the public key. Raises MissingTool."""
    file.unlink(missing_ok=True)
    process.find_tool("ssh-keygen", distribution.install("openssh-client"))
    process.output(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bakery", "-f", str(file)])
    return file.with_suffix(".pub").read_bytes()


def script(name: str, user: str) -> bytes:
    """Return one of this package's scripts with the name of the user inserted."""
    return (FILES / name).read_text(encoding="utf-8").replace("@USER@", user).encode()


def flatten(disks: Sequence[Path], target: Path, activity: Activity, log: Path) -> Path:
    """Write the content of a disk into ``target``, check it, and return it.

    ``disks`` are a raw disk, or a qcow2 and the qcow2 that it is an overlay on. The same content gives the same file.
    Raises InfrastructureFailed (disk full, damaged disk) and Interrupted.
    """
    activity.say("flattening")
    for source in disks[1:] and disks:  # what is cut off would be read as zeros, without an error
        if not is_sound(source, activity):
            raise InfrastructureFailed(
                f"{source} is damaged or cut off", log=log, hint="check the disk, and run up again"
            )
    form = "qcow2" if disks[1:] else "raw"
    try:
        command = ["qemu-img", "convert", "-m", "8", "-f", form, "-O", "qcow2", str(disks[0]), str(target)]
        process.run(command, log=log, activity=activity)
        process.run(["qemu-img", "check", "-q", str(target)], log=log, activity=activity)
    except CommandFailed as error:
        raise error.as_infrastructure("the image could not be flattened") from error
    return target


def check_finished(console: Path, log: Path) -> None:
    """Raise BakeFailed unless the machine reported the end of its clean-up."""
    text = console.read_text(encoding="utf-8", errors="replace") if console.exists() else ""
    if DONE not in text:
        tail = tuple(line.rstrip() for line in text.splitlines()[-40:])
        hint = "the recipe may have broken sudo, apt or systemd; set local.keepFailed to look into the machine"
        raise BakeFailed("the image could not be cleaned", tail=tail, log=log, hint=hint)


def boot_again(machine: BakeMachine, user: str) -> tuple[int, str]:
    """Boot the disk of a failed bake in a machine that outlives this process; return process id and login command.

    It has the same seed disk, so the temporary key of the bake still works.
    """
    port = qemu.free_ports(1)[0]
    pid_file = machine.work / "machine.pid"
    command = [
        machine.hardware.program,
        *qemu.common_arguments(
            machine.accelerator, machine.cores, machine.memory_mb, machine.work.name, machine.hardware
        ),
        *qemu.disk(machine.disk),
        *("-drive", f"file={qemu.comma(machine.seed)},format=raw,if=none,id=seed,readonly=on"),
        *("-device", "virtio-blk-pci,drive=seed,serial=bakery-seed"),
        *qemu.user_network({port: 22}),
        *("-serial", f"file:{machine.work / 'console-kept.log'}"),
        *machine.cloud_seed,
        *machine.kernel,
        *("-daemonize", "-pidfile", str(pid_file)),
    ]
    process.output(command)
    (machine.work / LOGIN).write_text(json.dumps({"port": port, "user": user}), encoding="utf-8")
    login = f"ssh -i {shlex.quote(str(machine.key))} -p {port} {' '.join(TRUST)} {user}@127.0.0.1"
    return int(pid_file.read_text(encoding="ascii")), login
