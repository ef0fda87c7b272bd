"""The container that bakes: the base image's own disk, booted by systemd-nspawn on this computer's kernel.

Nothing is emulated, so that a bake takes a fraction of the time. The file system is that of the image, mounted from a
raw copy of the disk, so that the result needs no conversion: partition, boot loader and labels are those of the base.
The container has its own processes, mounts, users (a range of ids without rights on this computer), control groups and
network, which is that of a QEMU machine: libslirp's, where 10.0.2.2 is this computer. ``files/container.sh`` starts it.
"""

import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bakery.errors import BakeFailed, CommandFailed, ContainerFailed, PortTaken
from bakery.host import cgroups, distribution, process
from bakery.host.boot_files import SECTOR, partition_offsets
from bakery.ovens.local import boot_disk, scratch
from bakery.ovens.local.machine import DONE, FILES, make_key, script
from bakery.progress.activity import Activity
from bakery.recipe.model import Json

DISK_NAME = "disk.raw"
TOOLS = {"systemd-nspawn": "systemd-container", "slirp4netns": "slirp4netns", "fstrim": "util-linux"}
DEVICES = (Path("/dev/loop-control"), Path("/dev/net/tun"))
GUEST = "10.0.2.100"  # the address that slirp4netns gives
BOOT_SECONDS = 60.0
FINISH_SECONDS = 600.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05
UNMOUNTED = "bakery-container: done"
SAME = "bakery-border: "
STILL, CONTROL = "still", "control"
TMP = b"d /tmp 1777 root root\n"  # for tmpfiles.d: a start deletes nothing there, as what provisioners copied to it


def lack() -> str:
    """Return why this computer can't bake in containers; empty if nothing is known to be missing."""
    if os.geteuid() != 0:
        return "only root can mount the image and start systemd-nspawn"
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        return f"{missing[0]} is not installed ({distribution.install(*missing)})"
    return next((f"{device} does not exist" for device in DEVICES if not device.exists()), "")


@dataclass(frozen=True)
class BakeContainer:
    """A container that a bake runs in.

    ``console`` is the log of its start, ``port`` the port of the loopback address that leads to its ssh, ``memory_mb``
    the limit of all of its processes together.
    """

    work: Path
    console: Path
    cores: int
    memory_mb: int
    port: int

    @property
    def disk(self) -> Path:
        """The raw disk image that becomes the baked one."""
        return self.work / DISK_NAME

    @property
    def key(self) -> Path:
        """The temporary private key that Packer logs in with."""
        return self.work / "key"

    @property
    def builder(self) -> Json:
        """The ``null`` builder: Packer only logs in."""
        return {
            "type": "null",
            "communicator": "ssh",
            "ssh_host": "127.0.0.1",
            "ssh_port": self.port,
            "ssh_private_key_file": str(self.key),
        }

    @property
    def command(self) -> list[str]:
        """The command that runs the container to its end."""
        cores = sorted(os.sched_getaffinity(0))[: self.cores]
        name = f"bakery-{self.work.name.rpartition('-')[2]}"
        words = (str(self.work), name, ",".join(map(str, cores)), str(self.memory_mb))
        return ["/bin/sh", str(FILES / "container.sh"), *words]


def make_seed(container: BakeContainer, user: str) -> None:
    """Write the folder ``seed``, which the container sees as /run/bakery, and the key pair ``key``."""
    seed = container.work / "seed"
    seed.mkdir(exist_ok=True)
    files = {name: script(f"{name}.sh", user) for name in ("apply", "finish", "sysctl", "border")}
    for name, content in {**files, "key.pub": make_key(container.key), "tmp.conf": TMP}.items():
        (seed / name).write_bytes(content)
        (seed / name).chmod(0o644)  # root of the container is another user here
    seed.chmod(0o755)


def make_disk(base: Path, container: BakeContainer, size_gb: int, activity: Activity, log: Path) -> None:
    """Write a raw copy of the disk ``base``, of at least ``size_gb`` GiB, whose file system fills it.

    Raises InfrastructureFailed, and ContainerFailed for a disk that is not like that of a base image.
    """
    disk = container.disk
    disk.unlink(missing_ok=True)
    run = partial(process.run, cwd=container.work, log=log, activity=activity)
    try:
        run(["qemu-img", "convert", "-m", "8", "-O", "raw", str(base), disk.name])
        with disk.open("rb") as raw:
            if partition_offsets(raw.read(34 * SECTOR)) != (0, boot_disk.OFFSET):
                raise ContainerFailed(f"the disk of {base.name} is not laid out like a base image")
        if boot_disk.grow(disk, size_gb << 30):
            with suppress(CommandFailed):  # what it has not repaired, the next command refuses
                run(["e2fsck", "-f", "-y", f"{disk.name}?offset={boot_disk.OFFSET}"])
            # It forgets the offset where it takes the size from the file, and where it truncates the file.
            size = disk.stat().st_size
            run(["resize2fs", f"{disk.name}?offset={boot_disk.OFFSET}", f"{(size - boot_disk.OFFSET) >> 10}K"])
            os.truncate(disk, size)
    except CommandFailed as error:
        raise error.as_infrastructure(f"the disk of {base.name} could not be copied") from error


@contextmanager
def started(container: BakeContainer, activity: Activity) -> Iterator[process.Running]:
    """Boot the container and yield it when its ssh answers; end it afterwards.

    Raises ContainerFailed if it does not start, PortTaken and Interrupted.
    """
    api = container.work / "slirp.sock"
    api.unlink(missing_ok=True)
    container.console.write_text("", encoding="utf-8")
    running = process.Running(container.command, cwd=container.work, log=container.console)
    try:
        _wait_for(partial(_forward, api, container.port), container, running, activity)
        _wait_for(partial(_answers, container.port), container, running, activity)
        yield running
    finally:
        running.stop()
        cgroups.remove(container.work / scratch.CGROUPS)


def _wait_for(
    happened: Callable[[], bool],
    container: BakeContainer,
    running: process.Running,
    activity: Activity,
    message: str = "the container did not start",
) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    while not happened():
        if running.poll() is not None or time.monotonic() > deadline:
            raise failed(message, container, running)
        activity.sleep(POLL_SECONDS)


def failed(message: str, container: BakeContainer, running: process.Running) -> ContainerFailed:
    """Return the error for a container that did not do what it should, with its last words."""
    if running.poll() is not None:
        running.stop()  # it has ended, and now its last words are read
    hint = "set local.isolation to machine if it happens again"
    return ContainerFailed(message, tail=tuple(running.lines), log=container.console, hint=hint)


def _answers(port: int) -> bool:
    """Return whether an ssh server answers on a port of the loopback address."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
        return connection.recv(4).startswith(b"SSH-")
    return False


def _forward(api: Path, port: int) -> bool:
    """Let a port of the loopback address lead to the container's ssh; return False if the network is not up yet.

    Raises PortTaken.
    """
    arguments = {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": port, "guest_addr": GUEST, "guest_port": 22}
    folder = os.open(api.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:  # by its folder's descriptor, since the path of a socket must be short
        with socket.socket(socket.AF_UNIX) as asked:
            asked.connect(f"/proc/self/fd/{folder}/{api.name}")
            asked.sendall(json.dumps({"execute": "add_hostfwd", "arguments": arguments}).encode())
            answer = json.loads(asked.recv(4096) or b"{}")
    except (FileNotFoundError, ConnectionError):
        return False
    finally:
        os.close(folder)
    if "error" in answer:
        raise PortTaken("the port of the container was taken meanwhile", hint="try again")
    return True


@contextmanager
def stopped(container: BakeContainer, running: process.Running, activity: Activity) -> Iterator[None]:
    """Stop all processes of the container inside the block, in which its disk has all that they wrote.

    Raises ContainerFailed and Interrupted.
    """
    still = container.work / STILL
    try:
        _tell(container, "stop")
        _wait_for(still.exists, container, running, activity, "the container could not be stopped")
        yield
    finally:
        _tell(container, "go")
    _wait_for(lambda: not still.exists(), container, running, activity, "the container does not continue")


def _tell(container: BakeContainer, word: str) -> None:
    """Write a word to the container's script. Raises ContainerFailed if it has no reader."""
    try:
        control = os.open(container.work / CONTROL, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ContainerFailed(f"the container does not listen: {error.strerror}", log=container.console) from error
    os.write(control, f"{word}\n".encode())
    os.close(control)


def unlike(container: BakeContainer, user: str, activity: Activity, log: Path) -> str:
    """Return what would be other than it is if the container were started again from its disk; empty if nothing is.

    Raises Interrupted and TimedOut.
    """
    ssh = _run(container, user, "border", log)
    ssh.wait(activity, STOP_SECONDS)
    said = next((line.removeprefix(SAME) for line in ssh.lines if line.startswith(SAME)), "it can't be examined")
    return "" if said == "same" else said


def _run(container: BakeContainer, user: str, name: str, log: Path) -> process.Running:
    """Run one of the scripts in the container as root."""
    trust = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "BatchMode=yes", "LogLevel=ERROR")
    command = [
        *("ssh", "-i", container.key.name, "-p", str(container.port), *(word for one in trust for word in ("-o", one))),
        *(f"{user}@127.0.0.1", f"sudo -n /bin/sh /run/bakery/{name}"),
    ]
    return process.Running(command, cwd=container.work, log=log)  # ssh would read signs in the path of the key


def finish(container: BakeContainer, user: str, running: process.Running, activity: Activity, log: Path) -> None:
    """Clean the image, shut the container down, and wait until the disk is unmounted.

    Raises BakeFailed if the recipe broke what that needs, and Interrupted.
    """
    activity.say("cleaning up and shutting down")
    ssh = _run(container, user, "finish", log)
    ssh.wait(activity, FINISH_SECONDS)  # its exit code says little: the connection may be cut by the shutdown
    if DONE not in ssh.lines:
        hint = "the recipe may have broken sudo, apt or systemd; set local.keepFailed to look into the machine"
        raise BakeFailed("the image could not be cleaned", tail=tuple(ssh.lines), log=log, hint=hint)
    code = running.wait(activity, STOP_SECONDS)
    if code != 0 or UNMOUNTED not in running.lines:
        raise failed("the container did not shut down cleanly", container, running)
