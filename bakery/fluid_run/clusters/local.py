"""A Slurm cluster of QEMU machines on this computer: overlays of the candidate on an unprivileged network.

Every machine has the seed disk (a tar, see :mod:`bakery.fluid_run.clusters.seed`) read-only and its own out disk, to
which its agent writes status, results and logs. No port is open, no login is needed, the candidate is never written.
"""

from __future__ import annotations

import base64
import contextlib
import secrets
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bakery import paths
from bakery.errors import MAKE_ROOM, InfrastructureFailed
from bakery.fluid_run.base import AgentStatus, Login
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.boot_snapshots import boot_snapshots
from bakery.fluid_run.clusters.local_machine import MachineKind, shell_socket
from bakery.fluid_run.clusters.local_start import NOTES, MachineStarter
from bakery.fluid_run.clusters.run_spec import MOST_MACHINES, MachineSpec, machines, on_private_network, run_spec
from bakery.fluid_run.clusters.seed import SEED_BYTES, write_seed
from bakery.host import locks, qemu, slots, space
from bakery.host.budget import budget_of
from bakery.host.files import discard
from bakery.host.hardware import hardware_of
from bakery.host.machine import check_console
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.settings import Settings

START_SECONDS = 600  # until all nodes are idle; an idle computer needs a fifteenth of that
BEFORE = "before"  # the logs of a machine before an upgrade
OPEN_MPI = {  # use only the cluster's network: the loopback address is the same on all machines
    "OMPI_MCA_btl": "tcp,self",
    "OMPI_MCA_pml": "ob1",
    "OMPI_MCA_btl_tcp_if_include": "10.77.0.0/24",
    "OMPI_MCA_oob_tcp_if_include": "10.77.0.0/24",
}


@dataclass(frozen=True)
class LocalClusters:
    """Makes clusters on this computer."""

    settings: Settings
    open_seconds: int = 0  # on a socket that only this user can open; as long as this process lets it run

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> LocalCluster:
        """Return a cluster for one run, not yet provisioned."""
        first = Path(present.location) if present else None
        return LocalCluster(self, run_id, Path(image.location), order, workspace, present=first)


class LocalCluster:
    """One ephemeral cluster; see the protocol in :mod:`bakery.fluid_run.base`."""

    queue_seconds = 0.0
    poll_seconds = 0.25

    def __init__(
        self,
        clusters: LocalClusters,
        run_id: str,
        image: Path,
        order: RunOrder,
        workspace: Path,
        *,
        present: Path | None = None,
    ) -> None:
        self.local = clusters.settings.local
        self.budget = budget_of(clusters.settings)
        self.open_shell = clusters.open_seconds > 0
        self.run_id = run_id
        self.image = image
        self.present = present
        self.order = order
        self.workspace = workspace
        self.folder = StatePaths(clusters.settings.state).work / f"{paths.CLUSTER}{run_id}"
        self.specs = on_private_network(machines(order.suite.cluster), run_id)
        snapshots = boot_snapshots(StatePaths(clusters.settings.state), self.local.boot_snapshots)
        self.machines = MachineStarter(run_id, self.folder, snapshots)
        self._slots = contextlib.ExitStack()

    def provision(self, activity: Activity) -> None:
        """Take slots of this computer, write the seed, start the machines. Raises InfrastructureFailed."""
        if (count := len(self.specs)) > MOST_MACHINES:
            hint = "give the partitions fewer nodes in recipe.yaml, or test on Google Cloud"
            raise InfrastructureFailed(f"a local cluster has at most {MOST_MACHINES} machines, not {count}", hint=hint)
        for image in filter(None, (self.present, self.image)):
            if not image.is_file():
                raise InfrastructureFailed(f"the image file {image} is gone", hint="run: bakery library")
        cores, memory = sum(spec.cpus for spec in self.specs), sum(spec.memory_mb for spec in self.specs)
        self._slots.enter_context(slots.take(cores, memory, activity, slots.capacity(self.local)))
        self._slots.enter_context(self.budget.used(f"the test of {self.order.image}", count))
        activity.say("testing: making machines")
        self.folder.mkdir(0o700, parents=True, exist_ok=True)  # the cluster's key is in it
        locks.sign(self.folder, f"Fluid-Run {self.run_id}")
        self._write_seed()
        hardware = hardware_of(self.order.architecture)
        accelerator = qemu.accelerator(self.local, hardware=hardware)
        self.machines.kind = MachineKind(accelerator, hardware, self.open_shell)
        self.machines.start(self.specs, self.present or self.image, activity)

    def reimage(self, name: str, activity: Activity) -> None:
        """Stop a machine and start it from the tested image; its logs are kept for :meth:`collect`."""
        spec = next(spec for spec in self.specs if spec.name == name)
        self.machines.running.pop(name).stop()
        self._collect_machine(spec, self.folder / BEFORE / name)
        self.machines.start([spec], self.image, activity)

    def _write_seed(self) -> None:
        key = base64.b64encode(secrets.token_bytes(1024)).decode()
        spec = run_spec(self.order, self.run_id, self.specs, munge_key=key, start_seconds=START_SECONDS)
        spec["upgrade"] = self.present is not None
        spec["env"] = {**OPEN_MPI, **spec["env"]}
        with (self.folder / "seed.tar").open("wb") as sink:
            write_seed(sink, spec, self.workspace)
            if sink.tell() < SEED_BYTES:
                with contextlib.suppress(OSError):  # a limit of file sizes: all machines boot
                    sink.truncate(SEED_BYTES)

    def status(self) -> AgentStatus:
        """Return the status of the controller's agent, or of another machine's agent that reported an error."""
        records = [mailbox.read_disk(self._out(spec)) for spec in self.specs]
        head, *others = map(mailbox.to_status, records)
        if head.ended:
            return head
        if lack := space.lack(self.folder):
            raise InfrastructureFailed(lack, hint=MAKE_ROOM)
        if failed := next((status for status in (head, *others) if status.error), None):
            return failed
        for name, running in self.machines.running.items():
            code = running.poll()
            if code is not None:
                raise InfrastructureFailed(
                    f"the machine {name} ended with {code}", tail=tuple(running.lines), replay=running.replay
                )
        for spec, record in zip(self.specs, records, strict=True):
            if record is None:
                seconds = time.monotonic() - self.machines.started
                check_console(self.folder / f"{spec.name}.console.log", self.machines.kind.accelerator, seconds)
        return head

    def _out(self, spec: MachineSpec) -> Path:
        return self.folder / f"{spec.name}.out"

    def collect(self, folder: Path) -> None:
        """Copy the controller's results into ``folder``, the console and logs of each machine below ``machines/``."""
        for spec in self.specs:
            self._collect_machine(spec, folder / "machines" / spec.name)
        if (notes := self.folder / NOTES).is_file():
            shutil.copyfile(notes, folder / NOTES)
        for before in (self.folder / BEFORE).glob("*"):
            shutil.copytree(before, folder / "machines" / f"{before.name}-{BEFORE}")
        mailbox.promote_results(folder / "machines" / self.specs[0].name, folder)

    def _collect_machine(self, spec: MachineSpec, target: Path) -> None:
        target.mkdir(parents=True, exist_ok=True)
        for name in ("boot.log", "console.log", "qemu.log"):
            source = self.folder / f"{spec.name}.{name}"
            if source.is_file():
                shutil.copyfile(source, target / name)
        if self._out(spec).is_file():
            mailbox.unpack_disk(self._out(spec), target)

    def collect_consoles(self, folder: Path) -> None:
        """Do nothing: ``collect`` copies them."""

    def logins(self) -> Sequence[Login]:
        """Return how to open a root shell on each machine's second serial line, a socket in the run's folder."""
        # In the folder, since the path of a socket must be short.
        first = f"env -C {shlex.quote(str(self.folder))} socat -,raw,echo=0,escape=0x1d unix-connect:"
        return [
            Login(spec.name, f"{first}{shell_socket(spec)}", program="socat", leave="Ctrl-]") for spec in self.specs
        ]

    def tear_down(self) -> None:
        """Stop all machines at the same time, delete their disks, release the slots."""
        self.machines.stop()
        discard(self.folder)
        self._slots.close()


def clear_leftovers(settings: Settings, *, dry_run: bool = False) -> int:
    """Delete the folders of runs whose process is gone, as are their machines; return the number of folders.

    A run that was killed before it had a result has an empty folder, which is deleted as well. ``dry_run`` only counts.
    """
    state = StatePaths(settings.state)
    work = [*state.work.glob(f"{paths.CLUSTER}*"), *state.work.glob(f"{paths.WORKSPACE}*")]
    cleared = [folder for folder in work if locks.deserted(folder)]
    if dry_run:
        return len(cleared)
    for folder in cleared:
        discard(folder)
    alive = {folder.name.partition("-")[2] for folder in work} - {folder.name.partition("-")[2] for folder in cleared}
    for run in state.runs.glob("*"):
        if run.name not in alive and locks.deserted(run):
            with contextlib.suppress(OSError):  # it is not empty
                run.rmdir()
    return len(cleared)
