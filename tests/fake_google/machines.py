"""Fake instances that are real: each boots as a QEMU machine of this computer from a local image of the same name.

What Google's guest environment does in an image (the address of the card, the startup script) does a seed disk here.
The machine of a build is made by :mod:`tests.fake_google.bake_machine`, and its disk may become an image. A machine of
a test has two cards: one on the network of its run, and one on which nothing but the metadata server answers
(169.254.169.254, with a name of its own as in Google's network) and the fake's port (for storage.googleapis.com).
"""

from __future__ import annotations

import io
import re
import secrets
import sys
import tarfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakery.fluid_run.clusters.kernel_line import kernel_words
from bakery.host import boot_files, process, qemu
from bakery.host.boot_files import BootFiles
from bakery.host.machine import QemuMachine
from bakery.progress.activity import Activity
from bakery.settings import Accelerator
from tests.fake_google import bake_machine
from tests.fake_google.bake_machine import BakeMachine
from tests.fake_google.cloud import Cloud
from tests.fake_google.metadata import MetadataServer

Json = Any
RELAY = Path(__file__).with_name("relay.py")
CORES, MEMORY_MB = 1, 768  # of every machine, whatever its type
LINK = "169.254.169"
GUEST_ENVIRONMENT = f"""\
set -e
modprobe virtio_net
ip link set lo up
ip address add ADDRESS/20 dev eth0
ip link set eth0 up
ip address add {LINK}.15/24 dev eth1
ip link set eth1 up
echo NAME >/proc/sys/kernel/hostname
# A machine of Google's has no second card, whose address is the same on all machines: MPI is not to use it.
mkdir -p /etc/openmpi
for word in pml=ob1 btl=tcp,self btl_tcp_if_include=eth0 oob_tcp_if_include=eth0; do
    echo "$word" >>/etc/openmpi/openmpi-mca-params.conf
done
echo '{LINK}.254 metadata.google.internal metadata' >>/etc/hosts
systemctl mask --quiet --runtime --now systemd-networkd.service systemd-networkd.socket
systemctl start --no-block multi-user.target
export FLUID_RUN_STORAGE=http://{LINK}.253
exec python3 - <<'END'
import os, time, urllib.request
url = "http://metadata.google.internal/computeMetadata/v1/instance/attributes/startup-script"
request = urllib.request.Request(url, headers={{"Metadata-Flavor": "Google"}})
with urllib.request.urlopen(request, timeout=60) as answer, open("/var/lib/guest/startup-script", "wb") as script:
    script.write(answer.read())
os.chmod("/var/lib/guest/startup-script", 0o755)
os.execv("/var/lib/guest/startup-script", ["startup-script"])
END
"""


@dataclass
class Booted:
    """An instance that runs, with its own metadata server."""

    running: process.Running
    metadata: MetadataServer
    console: Path


@dataclass
class Machines:
    """Boots what is inserted into ``cloud`` and ends what is deleted. ``images`` by the names that the cloud knows.

    ``port`` is the fake's own; all files lie in ``folder``.
    """

    cloud: Cloud
    port: int
    folder: Path
    images: Mapping[str, Path]
    accelerator: Accelerator
    booted: dict[str, Booted] = field(default_factory=dict)
    baking: dict[str, BakeMachine] = field(default_factory=dict)
    ended: dict[str, Future[Path]] = field(default_factory=dict)  # disks of ended builds, by their names
    files: dict[str, Future[BootFiles]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pool = ThreadPoolExecutor()
        self.images = dict(self.images)
        for name, image in self.images.items():
            self.files[name] = self.pool.submit(self._extract, name, image)
            self.files[name].result()
        self.cloud.machines = self

    def _extract(self, name: str, image: Path) -> BootFiles:
        return boot_files.extract(image, self.folder / f"boot-{name}", Activity())

    def insert(self, key: str, item: Json) -> None:
        """Boot the instance: that of a build, or one of a test."""
        image = item["disks"][0]["initializeParams"]["sourceImage"].rpartition("/")[2]
        if "bakery-run" in item["labels"]:
            self._insert_of_test(key, item, image)
            return
        files = self.files[image].result()
        self.baking[key] = bake_machine.boot(self.folder, item, self.images[image], files, self.accelerator)

    def image(self, name: str, disk: str) -> None:
        """Make an image of the disk of a build that has ended, as soon as its machine is off."""
        self.images = {**self.images, name: self.folder / f"{disk}.qcow2"}
        self.files[name] = self.pool.submit(lambda: self._extract(name, self.ended[disk].result()))

    def ssh(self, zone: str, name: str) -> int | None:
        """The port of the loopback device that leads to a build's machine; None if there is none of that name."""
        found = (one.ssh for key, one in self.baking.items() if key.endswith(f"/zones/{zone}/instances/{name}"))
        return next(found, None)

    def _insert_of_test(self, key: str, item: Json, image: str) -> None:
        name = item["name"]
        address = item["networkInterfaces"][0]["networkIP"]
        project = re.search(r"projects/([^/]+)/", key)
        assert project is not None
        metadata = MetadataServer(project[1], item, self._issue)
        seed = self.folder / f"{name}.seed.tar"
        _write_seed(seed, GUEST_ENVIRONMENT.replace("ADDRESS", address).replace("NAME", name))
        files = self.files[image].result()
        start = "mkdir -p /var/lib/guest && tar -xf /dev/vdb -C /var/lib/guest && exec sh /var/lib/guest/environment.sh"
        network, number = item["labels"]["bakery-run"], int(item["id"]) % 2**24
        made = QemuMachine(
            folder=self.folder,
            name=name,
            title=name,
            cores=CORES,
            memory_mb=MEMORY_MB,
            line=kernel_words(name, files.root, self.accelerator, start),
            devices=(
                *qemu.disk(seed, form="raw", read_only=True),
                *qemu.group_network(network, f"42:01:{number.to_bytes(4, 'big').hex(':')}"),
                *_link({254: metadata.port, 253: self.port}),
            ),
        )
        self.booted[key] = Booted(made.start(self.images[image], files, self.accelerator), metadata, made.console)

    def delete(self, key: str) -> None:
        """End the machine. That of a build is switched off first, which takes some seconds more."""
        if key in self.baking:
            build = self.baking.pop(key)
            self.ended[build.disk.stem] = self.pool.submit(self._switch_off, build)
        gone = self.booted.pop(key, None)
        if gone is not None:
            gone.running.stop()
            gone.metadata.stop()

    def _switch_off(self, build: BakeMachine) -> Path:
        try:
            build.switch_off()
        finally:
            build.running.stop()
        return build.disk

    def look(self) -> None:
        """An instance whose machine has ended is TERMINATED."""
        for key, machine in self.booted.items():
            if machine.running.poll() is not None and key in self.cloud.items:
                self.cloud.items[key]["status"] = "TERMINATED"

    def console(self, key: str) -> bytes:
        """What the machine printed on its serial line."""
        machine = self.booted.get(key) or self.baking.get(key)
        return machine.console.read_bytes() if machine else b""

    def stop(self) -> None:
        """End all."""
        for build in self.baking.values():
            build.running.stop()
        for key in list(self.booted):
            self.delete(key)
        self.pool.shutdown()

    def _issue(self, account: str, scopes: tuple[str, ...]) -> str:
        token = f"ya29.{secrets.token_hex(16)}"
        self.cloud.tokens[token] = (account, scopes)
        return token


def _write_seed(file: Path, script: str) -> None:
    with tarfile.open(file, "w") as tar:
        entry = tarfile.TarInfo("environment.sh")
        entry.size = len(script.encode())
        tar.addfile(entry, io.BytesIO(script.encode()))


def _link(ports: Mapping[int, int]) -> list[str]:
    """A user-mode card that reaches port 80 of some addresses of ``LINK`` and nothing else."""
    words = f"user,id=link,restrict=on,net={LINK}.0/24,host={LINK}.2,dhcpstart={LINK}.16"
    for address, port in ports.items():
        words += f",guestfwd=tcp:{LINK}.{address}:80-cmd:{sys.executable} -I -S {RELAY} {port}"
    return ["-netdev", words, "-device", "virtio-net-pci,netdev=link"]
