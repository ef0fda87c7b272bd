"""A cluster of slurm-gcp in machines of this computer: what the tests of its versions have in common."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.host import qemu, slots
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings
from tests.fake_google import compute
from tests.fake_google.cloud import Cloud
from tests.fake_google.front import Front
from tests.fake_google.server import serve
from tests.fake_google.slurm_machines import SlurmMachines

Json = Any
CHECKOUT = Path(os.environ.get("SLURM_GCP", "/nonexistent"))
TOOLKIT = CHECKOUT / "community/modules/scheduler/schedmd-slurm-gcp-v6-controller/modules/slurm_files"
IS_4 = (CHECKOUT / "scripts/startup.sh").is_file()
IS_6 = TOOLKIT.is_dir()
ZONE = "us-central1-a"
ACCOUNT = "slurm@p.iam.gserviceaccount.com"
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
CLUSTER = "bakery"
CONTROLLER = f"{CLUSTER}-controller"
MACHINE_TYPE, NODE_MB = "n1-standard-1", 4096
SECONDS = 3600.0
OFF = " ".join(["IDLE+CLOUD+POWERED_DOWN"] * 2)  # both nodes are switched off
UNITS = ("slurmctld", "slurmdbd", "slurmrestd", "mariadb", "munge", "nfs-server")  # of the controller, in each version
BEGIN = r"""
exec 2>&1
say() { echo "probe: $*"; }
nodes() { /usr/local/bin/scontrol show nodes | sed -n -E 's/^ +State=(\S+).*/\1/p' | xargs; }
"""
LOOK = r"""
  say "unit $unit $(systemctl is-active "$unit")"
done
say "cluster $(/usr/local/bin/sacctmgr --noheader --parsable2 show cluster format=cluster)"
"""
RUN = r"""
job=$(/usr/local/bin/sbatch --parsable --nodes=2 --chdir=/home --output=/home/job.out --wrap 'srun hostname | sort')
while :; do
  state=$(/usr/local/bin/scontrol show job "$job" | sed -n -E 's/.*JobState=(\w+).*/\1/p')
  case $state in PENDING | CONFIGURING | RUNNING | COMPLETING) sleep 5 ;; *) break ;; esac
done
say "job $state $(xargs </home/job.out)"
say "nodes $(nodes)"
until [[ $(nodes) != *POWERING* && $(nodes) == *POWERED_DOWN*POWERED_DOWN* ]]; do sleep 10; done
say "suspended $(nodes)"
"""
END = r"""
sed 's/^/probe-log: /' /var/log/slurm/resume.log /var/log/slurm/suspend.log
say end
"""


@dataclass(frozen=True)
class Design:
    """A cluster: its image, the instance of its controller, its nodes, and a shell script for the controller.

    The script runs after the startup script, and its last words are "probe: end". The machines' clocks run ``slower``
    times slower than that of this computer.
    """

    image: Path
    controller: Json
    nodes: tuple[str, ...]
    probe: str
    slower: int = 1
    controller_mb: int = 1536


def probe(units: tuple[str, ...], *, first: str = "", before: str = "", after: str = "") -> str:
    """The script of a design: it looks at the units, runs a job on both nodes, and waits until they are suspended.

    ``first`` are its first lines; ``before`` and ``after`` are those around the job.
    """
    look = f"for unit in {' '.join(units)}; do"
    return "\n".join(part.strip("\n") for part in (BEGIN, first, look, LOOK, before, RUN, after, END) if part) + "\n"


def image_path(name: str) -> str:
    """The image as an instance names it."""
    return f"projects/p/global/images/{name}"


class Run:
    """The cluster while it runs."""

    def __init__(self, cloud: Cloud, made: SlurmMachines) -> None:
        self.cloud = cloud
        self.made = made

    @property
    def console(self) -> str:
        file = self.made.consoles[CONTROLLER]  # made when QEMU has started
        return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""

    def told(self) -> dict[str, str]:
        """What the probe said, by its first word."""
        lines = re.findall(r"probe: (\w+) ?(.*)", self.console.replace("\r", ""))
        return {" ".join((word, *rest.split()[:1])) if word == "unit" else word: rest for word, rest in lines}

    def units(self) -> Mapping[str, str]:
        """The units that the probe looked at, and whether they are active."""
        told = self.told()
        return {key.removeprefix("unit "): told[key].split()[-1] for key in told if key.startswith("unit ")}

    def deleted(self) -> list[str]:
        """The names of deleted instances. On a busy computer Slurm gives up on a node, and resumes it again."""
        paths = [path for _at, method, path in self.cloud.calls if method == "compute.instances.delete"]
        return sorted({path.rpartition("/")[2] for path in paths})

    def left(self) -> list[str]:
        """The instances that are there beside the controller."""
        return [key for key in self.cloud.items if "/instances/" in key and not key.endswith(CONTROLLER)]

    def wait(self) -> None:
        """Wait until the probe has ended, or the controller is gone."""
        deadline = time.monotonic() + SECONDS
        while "end" not in self.told():
            key = next(key for key in self.cloud.items if key.endswith(f"/instances/{CONTROLLER}"))
            ended = self.made.booted[key].running.poll() is not None
            assert not ended and time.monotonic() < deadline, self.console[-6000:]
            time.sleep(2)


@contextmanager
def cluster(design: Design, cloud: Cloud, folder: Path) -> Iterator[Run]:
    """The cluster, after its probe has ended; ``cloud`` has what its scripts read there beyond the image."""
    local = LocalSettings()
    taken = slots.take(2, 1024, Activity(), slots.capacity(local))
    with serve(cloud) as server, taken:
        image = design.controller["disks"][0]["initializeParams"]["sourceImage"]
        compute.add_image(cloud, f"compute/compute/v1/{image.rpartition('/')[0]}", {"name": image.rpartition("/")[2]})
        front = Front(server.server_address[1], folder)
        memory = {CONTROLLER: design.controller_mb, **dict.fromkeys(design.nodes, NODE_MB)}
        accelerator = qemu.accelerator(local)
        names = (CONTROLLER, *design.nodes)
        probes = {CONTROLLER: design.probe}
        made = SlurmMachines(cloud, front, folder, design.image, accelerator, names, memory, probes, design.slower)
        try:
            url = f"{server.url}/compute/v1/projects/p/zones/{ZONE}/instances"
            head = {"Content-Type": "application/json"}
            body = json.dumps(design.controller).encode()
            urllib.request.urlopen(urllib.request.Request(url, body, head)).close()
            running = Run(cloud, made)
            running.wait()
            yield running
        finally:
            made.stop()
            front.stop()
        assert cloud.violations == []
