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
from datetime import UTC, datetime
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
GCLOUD = Path(__file__).with_name("guest_gcloud.py")
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
find /etc/ssl/certs/ca-certificates.crt /slurm/python/venv -name '*.crt' -o -name cacert.pem -o -name cacerts.txt |
    xargs --replace=FILE sh -c 'cat front.crt >>FILE'
systemctl mask --quiet --runtime --now systemd-networkd.service systemd-networkd.socket
systemctl start --no-block multi-user.target
# Google's metadata server answers ping, which QEMU's network keeps back: its address is here, its port passes on.
ip address add @LINK@.254/32 dev lo
systemd-run --quiet --unit=metadata --socket-property=ListenStream=@LINK@.254:80 \\
    /usr/lib/systemd/systemd-socket-proxyd @LINK@.253:80
test -e /usr/bin/gcloud || install -m 0755 gcloud /usr/bin/gcloud
python3 gcloud metadata instance/attributes/startup-script startup-script
chmod 0755 startup-script
./startup-script 2>&1 || { echo "the startup script ended with $?" && exit 1; }
test ! -f probe || exec bash probe
"""


@dataclass
class SlurmMachines:
    """Boots what is inserted into ``cloud`` from the image ``disk``, and ends what is deleted.

    ``names`` are the machines that the cluster may have: their addresses are fixed, as there is no name server.
    ``probes`` are shell scripts that run after the startup script of a machine, by its name.

    Clocks of the machines run ``slower`` times slower than that of this computer, which makes an emulated machine as
    fast as the time limits of scripts want it: Linux is told a higher rate of the processor's time stamp counter.
    """

    cloud: Cloud
    front: Front
    folder: Path
    disk: Path
    accelerator: Accelerator
    names: tuple[str, ...]
    memory_mb: Mapping[str, int] = field(default_factory=dict)
    probes: Mapping[str, str] = field(default_factory=dict)
    slower: int = 1
    booted: dict[str, Booted] = field(default_factory=dict)
    consoles: dict[str, Path] = field(default_factory=dict)  # of all that ever booted, by name

    def __post_init__(self) -> None:
        self.began = datetime.now(UTC)
        self.files = boot_files.extract(self.disk, self.folder / "boot", Activity())
        self.cloud.machines = self
        self.cloud.addresses = {name: self.address(name) for name in self.names}

    def address(self, name: str) -> str:
        """The address of a machine."""
        return f"{NETWORK}.{self.names.index(name) + 2}"

    def _now(self) -> datetime:
        """The time in UTC, as the clocks of the machines have it."""
        return self.began + (datetime.now(UTC) - self.began) / self.slower

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
        line = kernel_words(title, self.files.root, self.accelerator, start)
        made = QemuMachine(
            folder=self.folder,
            name=title,
            title=title,
            cores=1,
            memory_mb=self.memory_mb.get(name, 1024),
            line=re.sub(r"(?<=tsc_early_khz=)\d+", lambda rate: str(int(rate[0]) * self.slower), line),
            devices=(
                *("-rtc", f"base={self._now():%Y-%m-%dT%H:%M:%S}"),
                *qemu.disk(seed, form="raw", read_only=True),
                *qemu.group_network(str(self.folder), f"42:02:00:00:00:{self.names.index(name):02x}"),
                *_link({(253, 80): metadata.port, (252, 443): self.front.port}),
            ),
        )
        self.consoles[name] = made.console
        self.booted[key] = Booted(made.start(self.disk, self.files, self.accelerator), metadata, made.console)

    def _seed(self, name: str) -> list[tuple[str, bytes, int]]:
        script = GUEST.replace("@ADDRESS@", self.address(name)).replace("@NAME@", name).replace("@LINK@", LINK)
        texts = {"environment.sh": script, "hosts": self.hosts(), "front.crt": self.front.certificate.read_text()}
        texts["gcloud"] = GCLOUD.read_text(encoding="utf-8")
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
