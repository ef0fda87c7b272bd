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
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from google.api_core import exceptions
from google.cloud import compute_v1

from bakery.errors import BakeryError, InfrastructureFailed, NoCapacity
from bakery.fluid_run.base import AgentStatus
from bakery.fluid_run.clusters import mailbox
from bakery.fluid_run.clusters.instance import (
    DEFAULT_MACHINES,
    RUN_LABEL,
    START_SECONDS,
    RunContext,
    instance,
    machine_name,
    token,
)
from bakery.fluid_run.clusters.run_spec import MachineSpec, machines, run_spec
from bakery.fluid_run.clusters.seed import write_seed
from bakery.fluid_run.clusters.sizing import Machine, sized
from bakery.host.google import (
    CALLS_AT_ONCE,
    RETRY,
    STORAGE_RETRY,
    TIMEOUT_SECONDS,
    Google,
    api_errors,
    delete_instance,
    fetched,
    finish,
    ignore_missing,
    no_bucket,
)
from bakery.host.propagation import patiently
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape
from bakery.settings import Bucket, Settings

OPERATION_SECONDS = 300
SECURE_BOOT_POLICY = "constraints/compute.requireShieldedVm"
USABLE_MEMORY = 0.9  # of a machine type's: the rest is the kernel's and the firmware's


@dataclass(frozen=True)
class ComputeEngineClusters:
    """Makes clusters in one project."""

    settings: Settings
    google: Google
    open_shell: bool = False  # by ssh through IAP, for accounts that may use it

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
        self.open_shell = clusters.open_shell
        self.run_id = run_id
        self.image, self.present = image, present
        self.order = order
        self.workspace = workspace
        self.specs = machines(order.suite.cluster)
        self.zone = ""
        self.prefix = f"runs/{run_id}"
        self._own = f"labels.{RUN_LABEL} = {token(run_id)}"
        self._bucket = self.google.storage.bucket(self.settings.bucket(Bucket.ARTIFACTS))
        self._grants = StatePaths(clusters.settings.state).grants
        self._read: dict[str, int] = {}  # generations of the status files that were read, by machine
        self._said: dict[str, AgentStatus] = {}

    def provision(self, activity: Activity) -> None:
        """Create all machines in the first zone that has capacity. Raises InfrastructureFailed."""
        zones = self.settings.bake_zones
        for number, zone in enumerate(zones, 1):
            self.zone = zone
            try:
                self.specs = machines(self._shape())
                activity.say(f"testing: making {len(self.specs)} machines in {zone}")
                patiently(self._grants, activity, partial(self._insert_all, activity))
                break
            except NoCapacity as error:
                self._delete_all()
                if number == len(zones):
                    raise InfrastructureFailed(f"no zone of {', '.join(zones)} has capacity: {error}") from error
        activity.check()
        self._send_seed()

    def status(self) -> AgentStatus:
        """Return the status of the controller's agent, or of another machine's agent that reported an error."""
        self._read_statuses()
        head = self._status(self.specs[0])
        if head.ended:
            return head
        states = {instance.name: instance.status for instance in self._instances()}
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
        self._insert(spec, self.image, activity)

    def collect(self, folder: Path) -> None:
        """Download the controller's results into ``folder``, each machine's console and logs below ``machines/``."""
        if not self.zone:  # no machine was requested
            return
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            list(pool.map(lambda spec: self._collect_machine(spec, folder / "machines" / spec.name), self.specs))
        mailbox.promote_results(folder / "machines" / self.specs[0].name, folder)

    def logins(self) -> Sequence[str]:
        """Return a gcloud command for each machine."""
        options = f"--zone={self.zone} --project={self.google.project} --tunnel-through-iap"
        return [f"{spec.name}: gcloud compute ssh {self._name(spec)} {options}" for spec in self.specs]

    def tear_down(self) -> None:
        """Delete all machines of the run in every zone, and all versions of the seed, which has the cluster's key."""
        self._delete_all()
        seed = f"{self.prefix}/seed.tar"
        with contextlib.suppress(BakeryError), ignore_missing("delete the seed"):
            # A version is deleted for good if its generation is given: the bucket keeps the others for a while.
            for blob in self.google.storage.list_blobs(self._bucket, prefix=seed, versions=True, retry=STORAGE_RETRY):
                blob.delete(retry=STORAGE_RETRY, timeout=TIMEOUT_SECONDS)

    def _name(self, spec: MachineSpec) -> str:
        return machine_name(self.run_id, spec)

    def _shape(self) -> ClusterShape:
        """Return the recipe's cluster with the sizes of its machine types and only the nodes that the jobs need."""
        shape = self.order.suite.cluster
        types = {part.name: self._machine(part.machine_type) for part in shape.partitions}
        head = self._machine(shape.controller_machine_type)
        shape = replace(shape, controller_cpus=head.cpus, controller_memory_mb=head.memory_mb)
        return sized(shape, self.order.suite.jobs, types, self._script)

    def _machine(self, kind: str) -> Machine:
        kind = kind or DEFAULT_MACHINES[self.order.architecture]
        with api_errors(f"look up the machine type {kind}"):
            try:
                machine_type = self.google.machine_types.get(
                    project=self.google.project, zone=self.zone, machine_type=kind, retry=RETRY, timeout=TIMEOUT_SECONDS
                )
            except exceptions.NotFound as error:
                raise NoCapacity(f"{self.zone} has no machine type {kind}") from error
        return Machine(machine_type.guest_cpus, int(machine_type.memory_mb * USABLE_MEMORY))

    def _script(self, path: str) -> str:
        file = (self.workspace / path).resolve()
        inside = file.is_relative_to(self.workspace.resolve()) and file.is_file()
        return file.read_text(encoding="utf-8", errors="replace") if inside else ""

    def _insert_all(self, activity: Activity) -> None:
        with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
            futures = [pool.submit(self._insert, spec, self.present or self.image, activity) for spec in self.specs]
            errors = [error for error in (future.exception() for future in futures) if error is not None]
        # Lack of capacity comes first: another zone may help, whatever the other errors are.
        for error in sorted(errors, key=lambda error: not isinstance(error, NoCapacity)):
            raise error

    def _insert(self, spec: MachineSpec, image: ImageRecord, activity: Activity) -> None:
        activity.check()
        source = image.location or f"projects/{self.google.project}/global/images/{image.name}"
        run = RunContext(
            self.settings, self.order, self.run_id, self.prefix, self.zone, source, open_shell=self.open_shell
        )
        try:
            self._create(instance(run, spec))
        except BakeryError as error:
            if SECURE_BOOT_POLICY not in error.message:
                raise
            self._create(instance(replace(run, secure_boot=True), spec))

    def _create(self, body: compute_v1.Instance) -> None:
        try:
            with api_errors(f"make the machine {body.name}", reraise=(exceptions.Conflict,)):
                operation = self.google.instances.insert(
                    project=self.google.project,
                    zone=self.zone,
                    instance_resource=body,
                    retry=RETRY,
                    timeout=TIMEOUT_SECONDS,
                )
                finish(operation, OPERATION_SECONDS)
        except exceptions.Conflict:
            return  # an earlier request of this run created it

    def _instances(self) -> Sequence[compute_v1.Instance]:
        request = compute_v1.ListInstancesRequest(project=self.google.project, zone=self.zone, filter=self._own)
        with api_errors("list the machines of the run"):
            return list(self.google.instances.list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS))

    def _send_seed(self) -> None:
        """Upload the seed; the machines wait for it, as it contains all addresses."""
        addresses = {one.name: one.network_interfaces[0].network_i_p for one in self._instances()}
        self.specs = tuple(replace(spec, address=addresses.get(self._name(spec), "")) for spec in self.specs)
        missing = [spec.name for spec in self.specs if not spec.address]
        if missing:
            raise InfrastructureFailed(f"the machines {', '.join(missing)} have no address")
        key = base64.b64encode(secrets.token_bytes(1024)).decode()
        project = self.google.project
        spec = run_spec(
            self.order, self.run_id, self.specs, munge_key=key, start_seconds=START_SECONDS, project=project
        )
        spec["upgrade"] = self.present is not None
        with tempfile.TemporaryFile() as packed:  # a workspace may hold container images
            write_seed(packed, spec, self.workspace)
            try:
                with api_errors("upload the workspace of the run", reraise=(exceptions.NotFound,)):
                    self._bucket.blob(f"{self.prefix}/seed.tar").upload_from_file(packed, rewind=True, timeout=600)
            except exceptions.NotFound as error:
                raise no_bucket(self._bucket.name) from error

    def _read_statuses(self) -> None:
        """Read the status files that changed: one list call tells which."""
        with ignore_missing("look for the status of the run"):
            for blob in self.google.storage.list_blobs(self._bucket, prefix=f"{self.prefix}/", retry=STORAGE_RETRY):
                machine, _, file = blob.name.removeprefix(f"{self.prefix}/").partition("/")
                if file == "status.json" and self._read.get(machine) != blob.generation:
                    content = self._object(f"{machine}/status.json")
                    self._said[machine] = mailbox.to_status(json.loads(content) if content else None)
                    self._read[machine] = blob.generation

    def _status(self, spec: MachineSpec) -> AgentStatus:
        return self._said.get(spec.name) or mailbox.to_status(None)

    def _object(self, name: str) -> bytes:
        return fetched(self._bucket.blob(f"{self.prefix}/{name}"), f"read {name} of the run") or b""

    def _collect_machine(self, spec: MachineSpec, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(BakeryError):
            if packed := self._object(f"{spec.name}/results.tar"):
                mailbox.unpack(io.BytesIO(packed), folder)
        with contextlib.suppress(BakeryError), api_errors(f"read the console of {spec.name}"):
            console = self.google.instances.get_serial_port_output(
                project=self.google.project, zone=self.zone, instance=self._name(spec), timeout=TIMEOUT_SECONDS
            )
            (folder / "console.log").write_text(console.contents, encoding="utf-8")

    def _delete_all(self) -> None:
        """Delete the machines of the run in every zone; Compute Engine deletes what is left at its deadline."""
        request = compute_v1.AggregatedListInstancesRequest(project=self.google.project, filter=self._own)
        machines: list[tuple[str, str]] = []
        with contextlib.suppress(BakeryError), api_errors("look for machines to delete"):
            pages = self.google.instances.aggregated_list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)
            machines += [
                (zone.rpartition("/")[2], machine.name)
                for zone, scoped in pages
                for machine in scoped.instances
                if machine.status != "STOPPING"  # a TERMINATED one is only stopped and has to be deleted with its disk
            ]
        for zone, name in machines:
            with contextlib.suppress(BakeryError):
                delete_instance(self.google, zone, name)
