"""Fake instances of a cluster of slurm-gcp: QEMU machines that run the startup script of their metadata, nothing else.

What Google's guest environment and network do is done by a seed disk: the address of the card, the host name, names of
the cluster's machines, the metadata server at 169.254.169.254, and programs of Google's APIs, whose names lead to
:class:`tests.fake_google.front.Front` with a certificate that the machine trusts.
"""

from __future__ import annotations

import re
import secrets
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bakery.fluid_run.clusters.kernel_line import kernel_words
from bakery.host import boot_files, qemu, tar
from bakery.host.machine import QemuMachine
from bakery.progress.activity import Activity
from bakery.settings import Accelerator
from tests.fake_google.cloud import Cloud
from tests.fake_google.front import NAMES, Front
from tests.fake_google.machines import LINK, RELAY, Booted
from tests.fake_google.metadata import MetadataServer

Json = Any
NETWORK = "10.128.0"
GUEST = """\
set -e
modprobe virtio_net
ip link set lo up
ip address add @ADDRESS@/20 dev eth0
ip link set eth0 up
ip address add @LINK@.15/24 dev eth1
ip link set eth1 up
echo @NAME@ | tee /etc/hostname >/proc/sys/kernel/hostname
cat hosts >/etc/hosts
cat front.crt >>/etc/ssl/certs/ca-certificates.crt
systemctl mask --quiet --runtime --now systemd-networkd.service systemd-networkd.socket
systemctl start --no-block multi-user.target
wget -q --header Metadata-Flavor:Google -O /var/lib/guest/startup-script \\
    http://metadata.google.internal/computeMetadata/v1/instance/attributes/startup-script
chmod 0755 /var/lib/guest/startup-script
/var/lib/guest/startup-script 2>&1 || { echo "the startup script ended with $?" && exit 1; }
test ! -f probe || exec bash probe
"""


@dataclass
class SlurmMachines:
    """Boots what is inserted into ``cloud`` from the image ``disk``, and ends what is deleted.

    ``names`` are the machines that the cluster may have: their addresses are fixed, as there is no name server.
    ``probes`` are shell scripts that run after the startup script of a machine, by its name.
    """

    cloud: Cloud
    front: Front
    folder: Path
    disk: Path
    accelerator: Accelerator
    names: tuple[str, ...]
    memory_mb: Mapping[str, int] = field(default_factory=dict)
    probes: Mapping[str, str] = field(default_factory=dict)
    booted: dict[str, Booted] = field(default_factory=dict)
    consoles: dict[str, Path] = field(default_factory=dict)  # of all that ever booted, by name

    def __post_init__(self) -> None:
        self.files = boot_files.extract(self.disk, self.folder / "boot", Activity())
        self.cloud.machines = self
        self.cloud.addresses = {name: self.address(name) for name in self.names}

    def address(self, name: str) -> str:
        """The address of a machine."""
        return f"{NETWORK}.{self.names.index(name) + 2}"

    def hosts(self) -> str:
        """The names that a machine knows."""
        google = [f"{LINK}.254 metadata.google.internal metadata", f"{LINK}.252 {' '.join(NAMES)}"]
        own = [f"{self.address(name)} {name}" for name in self.names]
        return "\n".join(["127.0.0.1 localhost", *google, *own]) + "\n"

    def insert(self, key: str, item: Json) -> None:
        """Boot an instance."""
        name = item["name"]
        project = re.search(r"projects/([^/]+)/", key)
        assert project is not None
        metadata = MetadataServer(project[1], item, self._issue)
        title = f"{name}-{len(list(self.folder.glob('*.seed.tar')))}"
        seed = self.folder / f"{title}.seed.tar"
        seed.write_bytes(tar.pack(self._seed(name)))
        start = "mkdir -p /var/lib/guest && cd /var/lib/guest && tar -xf /dev/vdb && exec sh environment.sh"
        made = QemuMachine(
            folder=self.folder,
            name=title,
            title=title,
            cores=1,
            memory_mb=self.memory_mb.get(name, 1024),
            line=kernel_words(title, self.files.root, self.accelerator, start),
            devices=(
                *qemu.disk(seed, form="raw", read_only=True),
                *qemu.group_network(str(self.folder), f"42:02:00:00:00:{self.names.index(name):02x}"),
                *_link({(254, 80): metadata.port, (252, 443): self.front.port}),
            ),
        )
        self.consoles[name] = made.console
        self.booted[key] = Booted(made.start(self.disk, self.files, self.accelerator), metadata, made.console)

    def _seed(self, name: str) -> list[tuple[str, bytes, int]]:
        script = GUEST.replace("@ADDRESS@", self.address(name)).replace("@NAME@", name).replace("@LINK@", LINK)
        texts = {"environment.sh": script, "hosts": self.hosts(), "front.crt": self.front.certificate.read_text()}
        if name in self.probes:
            texts["probe"] = self.probes[name]
        return [(path, text.encode(), 0o644) for path, text in texts.items()]

    def delete(self, key: str) -> None:
        """End the machine."""
        gone = self.booted.pop(key, None)
        if gone is not None:
            gone.running.stop()
            gone.metadata.stop()

    def image(self, name: str, disk: str) -> None:
        """No disk of these becomes an image."""
        raise NotImplementedError(f"{name} of {disk}")

    def look(self) -> None:
        """An instance whose machine has ended is TERMINATED."""
        for key, machine in self.booted.items():
            if machine.running.poll() is not None and key in self.cloud.items:
                self.cloud.items[key]["status"] = "TERMINATED"

    def console(self, key: str) -> bytes:
        """What the machine printed on its serial line."""
        machine = self.booted.get(key)
        return machine.console.read_bytes() if machine else b""

    def stop(self) -> None:
        """End all."""
        for key in list(self.booted):
            self.delete(key)

    def _issue(self, account: str, scopes: tuple[str, ...]) -> str:
        token = f"ya29.{secrets.token_hex(16)}"
        self.cloud.tokens[token] = (account, scopes)
        return token


def _link(ports: Mapping[tuple[int, int], int]) -> list[str]:
    """A user-mode card that reaches some ports of some addresses of ``LINK`` and nothing else."""
    words = f"user,id=link,restrict=on,net={LINK}.0/24,host={LINK}.2,dhcpstart={LINK}.16"
    for (address, there), port in ports.items():
        words += f",guestfwd=tcp:{LINK}.{address}:{there}-cmd:{sys.executable} -I -S {RELAY} {port}"
    return ["-netdev", words, "-device", "virtio-net-pci,netdev=link"]
