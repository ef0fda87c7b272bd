"""The machine on Compute Engine that a debugged bake left up: how it is found, and how ssh reaches it through IAP."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bakery.host import process, qemu
from bakery.host.files import discard, write_atomic
from bakery.host.google import Google, ignore_missing
from bakery.orders.model import BakeOrder
from bakery.ovens.cloud_build import machines
from bakery.ovens.cloud_build.network import on_google
from bakery.ovens.debug_machine import DebugMachine, Forwarded
from bakery.paths import StatePaths
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.settings import NetworkSettings
from bakery.settings.network import DIRECT

PREFIX = "debug-"  # of the folder below the state with the key of a machine and where it is
MACHINE = "machine.json"
GCLOUD = "install the Google Cloud CLI: https://cloud.google.com/sdk/docs/install"
RUNS = ("PROVISIONING", "STAGING", "RUNNING")


@dataclass(frozen=True)
class CloudReach:
    """A :class:`bakery.ovens.debug_machine.Reach` of a machine without an external address: by gcloud and IAP.

    ``work`` is the folder on this computer with its key.
    """

    google: Google
    zone: str
    name: str
    work: Path
    program = "gcloud"

    @property
    def host(self) -> str:
        """Return its name, which only the tunnel resolves."""
        return self.name

    @property
    def options(self) -> Sequence[str]:
        """Go through the tunnel."""
        command = shlex.join([*self._tunnel, "--listen-on-stdin", "--verbosity=error"])
        return ("-o", f"ProxyCommand={command}")

    @property
    def cost(self) -> str:
        """Return the machine type and the deadline."""
        machine = self._machine()
        seconds = int(machine.get("scheduling", {}).get("maxRunDuration", {}).get("seconds", 0))
        if not seconds:
            return ""
        ends = datetime.fromisoformat(machine["creationTimestamp"]) + timedelta(seconds=seconds)
        kind, labels = machine["machineType"].rpartition("/")[2], machine.get("labels", {})
        until = f"{ends.astimezone():%Y-%m-%d %H:%M %Z} at the latest, {seconds} s after its start"
        owner = labels.get(machines.OWNER_LABEL, "unknown")
        return f"{self.name} costs as a {kind} in {self.zone} until it ends, {until}; owner: {owner}"

    @property
    def console(self) -> str:
        """Return the command that prints it."""
        return shlex.join(["gcloud", "compute", "instances", "get-serial-port-output", self.name, *self._place])

    @contextmanager
    def forwarded(self, log: Path) -> Iterator[Forwarded]:
        """Run a tunnel to a free port."""
        (port,) = qemu.free_ports(1)
        command = [*self._tunnel, f"--local-host-port=127.0.0.1:{port}"]
        tunnel = process.Running(command, log=log.with_suffix(".tunnel.log"))
        try:
            yield Forwarded(port, lambda: tunnel.poll() is None)
        finally:
            tunnel.stop()

    @contextmanager
    def given(self, order: BakeOrder, folder: Path) -> Iterator[tuple[BakeOrder, Mapping[str, str]]]:
        """Give nothing: the machine still runs, and has its secrets."""
        yield order, {}

    def is_up(self) -> bool:
        """Ask Compute Engine whether it runs."""
        return self._machine().get("status") in RUNS

    def end(self) -> None:
        """Delete it with its disk, and its key."""
        machines.delete_disk(self.google, self.zone, {"name": self.name, "users": ["itself"]})
        discard(self.work)

    @property
    def _place(self) -> list[str]:
        return [f"--zone={self.zone}", f"--project={self.google.project}"]

    @property
    def _tunnel(self) -> list[str]:
        return ["gcloud", "compute", "start-iap-tunnel", self.name, "22", *self._place]

    def _machine(self) -> Mapping[str, Any]:
        """Return it as Compute Engine has it; nothing if it is gone."""
        with ignore_missing(f"look at the machine {self.name}"):
            return self.google.read_compute(f"zones/{self.zone}/instances/{self.name}")
        return {}


def folder(state: StatePaths, image: str) -> Path:
    """Return the folder for the key of the machine of an image's bake."""
    return state.work / f"{PREFIX}{image}"


def note(work: Path, zone: str, name: str, user: str) -> None:
    """Write down where the machine is whose key is in the folder ``work``, and who logs in to it."""
    write_atomic(work / MACHINE, json.dumps({"zone": zone, "name": name, "user": user}).encode())


def find(state: StatePaths, google: Google, family: str, network: NetworkSettings = DIRECT) -> DebugMachine | None:
    """Return the machine of the last debugged bake of the family that runs; None if none does. Raises BakeryError."""
    noted = state.work.glob(f"{PREFIX}{family}-{'[0-9a-f]' * DIGEST_SHOWN}/{MACHINE}")
    for file in sorted(noted, key=lambda one: one.stat().st_mtime, reverse=True):
        known = json.loads(file.read_text(encoding="utf-8"))
        reach = CloudReach(google, known["zone"], known["name"], file.parent)
        if reach.is_up():
            image = file.parent.name.removeprefix(PREFIX)
            return DebugMachine(image, file.parent, known["user"], reach, on_google(network))
    return None


def forget(state: StatePaths, google: Google) -> None:
    """Delete the folders of machines that are gone. Raises BakeryError."""
    for file in state.work.glob(f"{PREFIX}*/{MACHINE}"):
        known = json.loads(file.read_text(encoding="utf-8"))
        if not CloudReach(google, known["zone"], known["name"], file.parent).is_up():
            discard(file.parent)
