"""A Slurm cluster of Compute Engine machines, made through the API, with the same agent as on local machines.

No machine has an external address and no login is needed: workspace and results are transferred through the artifacts
bucket. Compute Engine deletes every machine at its deadline (``maxRunDuration``), even if the bakery is gone by then.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import secrets
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from google.api_core import exceptions
from google.cloud.storage import Blob  # type: ignore[import-untyped]

from bakery.errors import BakeryError, InfrastructureFailed, NoCapacity
from bakery.fluid_run.base import AgentStatus, Login
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.demand import room, zones_of
from bakery.fluid_run.clusters.instance import (
    DEFAULT_MACHINES,
    START_SECONDS,
    RunContext,
    machine_name,
    token,
)
from bakery.fluid_run.clusters.requests import ClusterRequests
from bakery.fluid_run.clusters.run_machines import OPERATION_SECONDS, Machines, RunMachines
from bakery.fluid_run.clusters.run_spec import MachineSpec, machines, run_spec
from bakery.fluid_run.clusters.seed import write_seed
from bakery.fluid_run.clusters.sizing import MachineSize, sized
from bakery.host.budget import budget_of
from bakery.host.compute_operation import delete_instance
from bakery.host.google import (
    CALLS_AT_ONCE,
    STORAGE_RETRY,
    TIMEOUT_SECONDS,
    Google,
    api_errors,
    fetched,
    ignore_missing,
)
from bakery.host.google_errors import no_bucket
from bakery.host.propagation import patiently
from bakery.host.turns import Turns
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.machine_types import has_one_thread
from bakery.recipe.model import ClusterShape, Partition
from bakery.settings import Settings

USABLE_MEMORY = 0.9  # of a machine type's: the rest is the kernel's and the firmware's


def _turns(google: Google) -> Turns:
    return Turns(google.settings.tests_at_once, "google.testsAtOnce")


@dataclass(frozen=True)
class ComputeEngineClusters:
    """Makes clusters in one project."""

    settings: Settings
    google: Google
    open_seconds: int = 0  # for ssh through IAP, by accounts that may use it

    def cluster(
        self, run_id: str, image: ImageRecord, order: RunOrder, workspace: Path, present: ImageRecord | None = None
    ) -> ComputeEngineCluster:
        """Return a cluster for one run, not yet provisioned."""
        return ComputeEngineCluster(self, run_id, image, order, workspace, present=present)


class ComputeEngineCluster:
    """One ephemeral cluster; see the protocol in :mod:`bakery.fluid_run.base`."""

    queue_seconds = 0.0
    poll_seconds = 10.0

    def __init__(
        self,
        clusters: ComputeEngineClusters,
        run_id: str,
        image: ImageRecord,
        order: RunOrder,
        workspace: Path,
        *,
        present: ImageRecord | None = None,
    ) -> None:
        self.settings = clusters.settings.google
        self.google = clusters.google
        self.open_seconds = clusters.open_seconds
        self.run_id = run_id
        self.image, self.present = image, present
        self.order = order
        self.workspace = workspace
        self.specs = machines(order.suite.cluster)
        self.zone = ""
        self._turn = contextlib.ExitStack()  # of google.testsAtOnce, from the first machine to the last
        self._room = contextlib.ExitStack()  # in quotas and limits, for all machines
        self._budget = budget_of(clusters.settings)
        self._requests = self.google.shared(ClusterRequests)
        self._machines = RunMachines(self.google, self._requests)
        self.prefix = f"{self._requests.folder}/{run_id}"
        self._seed = self._requests.bucket.blob(f"{self.prefix}/seed.tar")
        self._grants = StatePaths(clusters.settings.state).grants
        self._read: dict[str, int] = {}  # generations of the status files that were read, by machine
        self._said: dict[str, AgentStatus] = {}
        self._mail: set[str] = set()  # the objects of the run at the last look

    def provision(self, activity: Activity) -> None:
        """Create all machines in the first zone that has capacity. Raises InfrastructureFailed."""
        zones = zones_of(self.settings, self.order.suite.cluster)
        self._turn.enter_context(self.google.shared(_turns).held(activity))
        for number, zone in enumerate(zones, 1):
            self.zone = zone
            try:
                made = patiently(self._grants, activity, partial(self._make_all, activity))
                break
            except NoCapacity as error:
                self._machines.delete()
                self._room.close()
                if number == len(zones):
                    raise InfrastructureFailed(f"no zone of {', '.join(zones)} has capacity: {error}") from error
        activity.check()
        patiently(self._grants, activity, partial(self._send_seed, made))

    def status(self) -> AgentStatus:
        """Return the status of the controller's agent, or of another machine's agent that reported an error."""
        self._read_statuses()
        head = self._status(self.specs[0])
        if head.ended:
            return head
        states = {name: machine["status"] for name, machine in self._instances().items()}
        for spec in self.specs:
            state = states.get(self._name(spec), "gone")
            if state not in ("PROVISIONING", "STAGING", "RUNNING"):
                raise InfrastructureFailed(f"the machine {spec.name} is {state} (preempted, or over its deadline)")
        others = (self._status(spec) for spec in self.specs[1:])
        return next((status for status in others if status.error), head)

    def reimage(self, name: str, activity: Activity) -> None:
        """Delete a machine and make it from the tested image, with the address that the others know it by."""
        spec = next(spec for spec in self.specs if spec.name == name)
        delete_instance(self.google, self.zone, self._name(spec), wait_seconds=OPERATION_SECONDS)
        self._make_machines([spec], self.image, activity)

    def collect(self, folder: Path) -> None:
        """Download the controller's results into ``folder``, each machine's logs below ``machines/``."""
        if not self.zone:  # no machine was requested
            return
        self._each_machine(self._collect_mail, folder)
        mailbox.promote_results(folder / "machines" / self.specs[0].name, folder)

    def collect_consoles(self, folder: Path) -> None:
        """Read each machine's serial port; in most projects only Compute Engine has what a machine that died said."""
        if self.zone:
            self._each_machine(self._collect_console, folder)

    def _each_machine(self, collect: Callable[[MachineSpec, Path], None], folder: Path) -> None:
        folders = [folder / "machines" / spec.name for spec in self.specs]
        for one in folders:
            one.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            list(pool.map(collect, self.specs, folders))

    def logins(self) -> Sequence[Login]:
        """Return a gcloud command for each machine."""
        options = f"--zone={self.zone} --project={self.google.project} --tunnel-through-iap"
        return [
            Login(spec.name, f"gcloud compute ssh {self._name(spec)} {options}", program="gcloud", leave="exit")
            for spec in self.specs
        ]

    def tear_down(self) -> None:
        """Delete all machines of the run in every zone, and all versions of the seed, which has the cluster's key."""
        self._machines.delete()
        self._room.close()
        self._turn.close()
        with contextlib.suppress(BakeryError), ignore_missing("delete the seed"):
            # A version is deleted for good if its generation is given: the bucket keeps the others for a while.
            for blob in [self._seed] if self._seed.generation else self._seeds():
                blob.delete(retry=STORAGE_RETRY, timeout=TIMEOUT_SECONDS)

    def _seeds(self) -> Iterable[Blob]:
        """Return the versions of the seed: its upload was not answered, or it was deleted before."""
        bucket = self._requests.bucket
        found: Iterable[Blob] = bucket.list_blobs(prefix=self._seed.name, versions=True, retry=STORAGE_RETRY)
        return found

    def _name(self, spec: MachineSpec) -> str:
        return machine_name(self.run_id, spec)

    def _shape(self) -> ClusterShape:
        """Return the recipe's cluster with the sizes of its machine types and only the nodes that the jobs need."""
        shape = self.order.suite.cluster
        types = {part.name: self._node(part) for part in shape.partitions}
        head = self._machine(shape.controller_machine_type)
        shape = replace(shape, controller_cpus=head.cpus, controller_memory_mb=head.memory_mb)
        return sized(shape, self.order.suite.jobs, types, self._script)

    def _machine(self, kind: str) -> MachineSize:
        machine_type = self._requests.machine_type(self.zone, kind or DEFAULT_MACHINES[self.order.architecture])
        return MachineSize(machine_type["guestCpus"], int(machine_type["memoryMb"] * USABLE_MEMORY))

    def _node(self, part: Partition) -> MachineSize:
        """Return the size of a partition's nodes, whose processors are threads."""
        machine = self._machine(part.machine_type)
        halved = part.threads_per_core == 1 and not has_one_thread(part.machine_type)
        return replace(machine, cpus=machine.cpus // 2) if halved else machine

    def _script(self, path: str) -> str:
        file = (self.workspace / path).resolve()
        inside = file.is_relative_to(self.workspace.resolve()) and file.is_file()
        return file.read_text(encoding="utf-8", errors="replace") if inside else ""

    def _make_all(self, activity: Activity) -> Machines:
        self.specs = machines(self._shape())
        self._room.close()  # of an earlier try
        taken = room(self.google, self._budget, self.zone, self.order, specs=self.specs, activity=activity)
        self._room.enter_context(taken)
        activity.say(f"testing: making {len(self.specs)} machines in {self.zone}")
        return self._make_machines(self.specs, self.present or self.image, activity)

    def _make_machines(self, specs: Sequence[MachineSpec], image: ImageRecord, activity: Activity) -> Machines:
        source = image.location or f"projects/{self.google.project}/global/images/{image.name}"
        run = RunContext(
            self.settings, self.order, self.run_id, self.prefix, self.zone, source, open_seconds=self.open_seconds
        )
        return self._machines.make(run, specs, activity)

    def _instances(self) -> Machines:
        return self._requests.machines(self.zone, token(self.run_id))

    def _send_seed(self, made: Machines) -> None:
        """Upload the seed; the machines wait for it, as it contains all addresses."""
        addresses = {name: one["networkInterfaces"][0]["networkIP"] for name, one in made.items()}
        self.specs = tuple(replace(spec, address=addresses[self._name(spec)]) for spec in self.specs)
        key = base64.b64encode(secrets.token_bytes(1024)).decode()
        project = self.google.project
        spec = run_spec(
            self.order, self.run_id, self.specs, munge_key=key, start_seconds=START_SECONDS, project=project
        )
        spec["upgrade"] = self.present is not None
        with tempfile.TemporaryFile() as packed:  # a workspace may hold container images
            write_seed(packed, spec, self.workspace)
            reraise = (exceptions.NotFound, exceptions.PreconditionFailed)
            try:
                with api_errors("upload the workspace of the run", reraise=reraise):
                    self._seed.upload_from_file(packed, rewind=True, if_generation_match=0, timeout=600)
            except exceptions.NotFound as error:
                raise no_bucket(self._requests.bucket.name) from error
            except exceptions.PreconditionFailed:  # it was uploaded, and the answer got lost
                with api_errors("look for the workspace of the run"):
                    self._seed.reload(retry=STORAGE_RETRY, timeout=TIMEOUT_SECONDS)

    def _read_statuses(self) -> None:
        """Read the statuses that changed: one list call has them, as metadata, unless one is too long for it."""
        blobs = {blob.name.removeprefix(f"{self.prefix}/"): blob for blob in self._requests.objects(self.prefix)}
        self._mail = set(blobs)
        for name, blob in blobs.items():
            machine, _, file = name.partition("/")
            if file == "status.json" and self._read.get(machine) != blob.generation:
                content = (blob.metadata or {}).get("status") or self._object(name)
                self._said[machine] = mailbox.to_status(json.loads(content) if content else None)
                self._read[machine] = blob.generation

    def _status(self, spec: MachineSpec) -> AgentStatus:
        return self._said.get(spec.name) or mailbox.to_status(None)

    def _object(self, name: str) -> bytes:
        blob = self._requests.bucket.blob(f"{self.prefix}/{name}")
        return fetched(blob, f"read {name} of the run") or b""

    def _collect_mail(self, spec: MachineSpec, folder: Path) -> None:
        name = f"{spec.name}/results.tar"
        if self._status(self.specs[0]).ended and name not in self._mail:
            return  # all that the controller waited for is sent
        with contextlib.suppress(BakeryError):
            if packed := self._object(name):
                mailbox.unpack(io.BytesIO(packed), folder)

    def _collect_console(self, spec: MachineSpec, folder: Path) -> None:
        with contextlib.suppress(BakeryError), api_errors(f"read the console of {spec.name}"):
            console = self.google.read_compute(f"zones/{self.zone}/instances/{self._name(spec)}/serialPort")
            (folder / "console.log").write_text(console.get("contents", ""), encoding="utf-8")
