"""One machine of a test cluster as a request to Compute Engine."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bakery.fluid_run import bootstrap
from bakery.fluid_run.clusters.run_spec import PREFIX, MachineSpec, Role, deadline_seconds
from bakery.orders.model import RunOrder
from bakery.recipe.machine_kinds import Provisioning
from bakery.recipe.machine_types import DEFAULT_MACHINE, boot_disk, first_nic, has_one_thread
from bakery.recipe.model import ClusterShape, Partition
from bakery.settings import SSH_TAG, TEST_TAG, Bucket, Duty, GoogleSettings

START_SECONDS = 900  # until all nodes are idle
MARGIN_SECONDS = 1800  # after start and run until Compute Engine itself deletes a machine
# How long a machine may wait for capacity, and run then, with flex-start, in seconds. Source:
# https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms, 2026-11-30.
FLEX_WAIT_SECONDS = 7200
FLEX_LONGEST = 7 * 86_400
DEFAULT_MACHINES = {"": DEFAULT_MACHINE, "arm64": "t2a-standard-2"}  # by the architecture of the image
RUN_LABEL = "bakery-run"
RESERVATION = "compute.googleapis.com/reservation-name"
NAME_LENGTH = 63
_ENDS = re.compile(r"a\d\w*|g\d\w*|h\d\w*|ct\w+|tpu\w*")  # with GPUs or TPUs in them, or for tightly coupled work
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
Body = Mapping[str, Any]  # of a request, whose whole numbers of 64 bits are strings


@dataclass(frozen=True)
class RunContext:
    """What all machines of a run have in common.

    ``image`` is a self link or its path, ``prefix`` is that of the run in the bucket. With ``open_seconds`` machines
    are reachable by ssh through IAP, and deleted that much later. ``secure_boot`` is for projects whose policy requires
    it: a kernel that no distribution has signed, as Lustre's, does not boot with it.
    """

    google: GoogleSettings
    order: RunOrder
    run_id: str
    prefix: str
    zone: str
    image: str
    open_seconds: int = 0
    secure_boot: bool = False

    @property
    def shape(self) -> ClusterShape:
        """The cluster of the recipe."""
        return self.order.suite.cluster

    @property
    def labels(self) -> dict[str, str]:
        """The labels of the machines and of their disks."""
        return {**self.google.machine_labels("test", self.order.package), RUN_LABEL: token(self.run_id)}

    @property
    def wait_seconds(self) -> int:
        """How long a machine may wait for others that are provided when there is capacity."""
        return FLEX_WAIT_SECONDS if any(_flexible(part) for part in self.shape.partitions) else 0


def instance(run: RunContext, spec: MachineSpec) -> Body:
    """Return the machine: shielded, no external address, no project keys, deleted by Compute Engine at its deadline."""
    partition = next((part for part in run.shape.partitions if part.name == spec.partition), None)
    kind = machine_type(run.order, partition, spec)
    seconds = run.wait_seconds + START_SECONDS + deadline_seconds(run.order) + run.open_seconds + MARGIN_SECONDS
    return {
        "name": machine_name(run.run_id, spec),
        "machineType": f"zones/{run.zone}/machineTypes/{kind}",
        "disks": [_disk(run, partition, spec)],
        "networkInterfaces": _interfaces(run, partition, spec),
        "metadata": {"items": [{"key": key, "value": value} for key, value in _metadata(run, spec).items()]},
        "labels": run.labels,
        "tags": {"items": [TEST_TAG, *([SSH_TAG] if run.open_seconds else [])]},
        "serviceAccounts": [{"email": run.google.account(Duty.TEST), "scopes": [SCOPE]}],
        "shieldedInstanceConfig": {
            "enableSecureBoot": run.secure_boot,
            "enableVtpm": True,
            "enableIntegrityMonitoring": True,
        },
        "scheduling": _scheduling(partition, kind, int(seconds)),
        **(_properties(run, partition, kind) if partition else {}),
    }


def _interfaces(run: RunContext, partition: Partition | None, spec: MachineSpec) -> list[Body]:
    """Return the interface in the network of tests, and those in the partition's network with an RDMA profile."""
    first = {"subnetwork": run.google.subnetwork_path}
    if spec.address:  # of a machine that this one replaces
        first["networkIP"] = spec.address
    if partition and (kind := first_nic(partition)):
        first["nicType"] = kind.value
    if not partition or not partition.rdma_network or not partition.nic_type:
        return [first]
    others = run.google.rdma_networks[partition.rdma_network].paths(run.google.project)
    kind = partition.nic_type
    return [first, *({"subnetwork": one, "nicType": kind.value} for one in others)]


def _properties(run: RunContext, partition: Partition, kind: str) -> Body:
    """Return what the partition asks for, and Compute Engine does not do by itself."""
    found: dict[str, Any] = {}
    if partition.gpu_count:
        accelerator = f"zones/{run.zone}/acceleratorTypes/{partition.gpu_type}"
        found["guestAccelerators"] = [{"acceleratorCount": partition.gpu_count, "acceleratorType": accelerator}]
    if partition.threads_per_core and not has_one_thread(kind):
        found["advancedMachineFeatures"] = {"threadsPerCore": partition.threads_per_core}
    if partition.compact_placement:
        policy = policy_path(run.google.project, run.zone, policy_name(run.run_id, partition.name))
        found["resourcePolicies"] = [policy]
    if partition.reservation:
        named = {"key": RESERVATION, "values": [partition.reservation]}
        found["reservationAffinity"] = {"consumeReservationType": "SPECIFIC_RESERVATION", **named}
    if _flexible(partition):
        found["reservationAffinity"] = {"consumeReservationType": "NO_RESERVATION"}
        found["params"] = {"requestValidForDuration": _duration(FLEX_WAIT_SECONDS)}
    return found


def _duration(seconds: int) -> Body:
    return {"seconds": str(seconds)}


def _flexible(partition: Partition | None) -> bool:
    return partition is not None and partition.provided is Provisioning.FLEX_START


def token(run_id: str) -> str:
    """Return a run id for names and labels of its machines: the id itself if it is short enough, else a digest."""
    return run_id if re.fullmatch(r"[a-z0-9-]{1,24}", run_id) else hashlib.sha256(run_id.encode()).hexdigest()[:16]


def machine_name(run_id: str, spec: MachineSpec) -> str:
    """Return a valid name (RFC 1035, at most 63 characters) that is unique in the project."""
    return _name(run_id, spec.name)


def policy_name(run_id: str, partition: str) -> str:
    """Return the name of the placement policy of a partition's nodes, in the form of a machine's name."""
    return _name(run_id, partition)


def policy_path(project: str, zone: str, name: str) -> str:
    """Return the path of a placement policy in the region of a zone."""
    return f"projects/{project}/regions/{zone.rpartition('-')[0]}/resourcePolicies/{name}"


def _name(run_id: str, name: str) -> str:
    plain = f"{PREFIX}{token(run_id)}-{name}"
    valid = re.sub(r"[^a-z0-9-]", "-", plain.lower())
    if valid == plain and len(valid) <= NAME_LENGTH:
        return valid
    return f"{valid[:50].rstrip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def machine_type(order: RunOrder, partition: Partition | None, spec: MachineSpec) -> str:
    """Return the machine type of a machine."""
    shape = order.suite.cluster
    types = {Role.CONTROLLER: shape.controller_machine_type, Role.LOGIN: shape.login_machine_type}
    return (partition.machine_type if partition else types.get(spec.role, "")) or DEFAULT_MACHINES[order.architecture]


def _disk(run: RunContext, partition: Partition | None, spec: MachineSpec) -> Body:
    head = spec.role is Role.CONTROLLER
    size = partition.disk_size_gb if partition else run.shape.controller_disk_size_gb if head else 0
    params: dict[str, Any] = {"sourceImage": run.image, "labels": run.labels}
    params |= {"diskSizeGb": str(size)} if size else {}
    asked = partition.disk_type if partition else run.shape.controller_disk_type if head else ""
    if kind := asked or boot_disk(machine_type(run.order, partition, spec)):
        params["diskType"] = f"zones/{run.zone}/diskTypes/{kind}"
    key = {"diskEncryptionKey": {"kmsKeyName": run.google.kms_key}} if run.google.kms_key else {}
    return {"boot": True, "autoDelete": True, "initializeParams": params, **key}


def _metadata(run: RunContext, spec: MachineSpec) -> dict[str, str]:
    return {
        "fluid-run-bucket": run.google.bucket(Bucket.ARTIFACTS),
        "fluid-run-prefix": run.prefix,
        "fluid-run-name": spec.name,
        "startup-script": Path(bootstrap.__file__).read_text(encoding="utf-8"),
        "block-project-ssh-keys": "true",
        "enable-oslogin": "true",
    }


def host_maintenance(machine: str, *, ends: bool, accelerators: int) -> str | None:
    """Return what happens to the machine when its host needs maintenance; None leaves it to Compute Engine.

    E2 can only migrate. Accelerators, bare metal and some series can only end, as can machines that are spot, provided
    with flex-start or placed close to others (``ends``). Of Z3, the size decides.
    Source: https://docs.cloud.google.com/compute/docs/instances/setting-vm-host-options, "Limitations", 2026-11-29.
    """
    series = machine.partition("-")[0]
    if ends or accelerators or machine.endswith("-metal") or _ENDS.fullmatch(series):
        return "TERMINATE"
    return None if series.startswith("z") else "MIGRATE"


def _scheduling(partition: Partition | None, machine: str, deadline: int) -> Body:
    provided = partition.provided if partition else Provisioning.STANDARD
    spot, flexible = provided is Provisioning.SPOT, provided is Provisioning.FLEX_START
    ends = spot or flexible or (partition is not None and partition.compact_placement)
    maintenance = host_maintenance(machine, ends=ends, accelerators=partition.gpu_count if partition else 0)
    return {
        "maxRunDuration": _duration(min(deadline, FLEX_LONGEST) if flexible else deadline),
        "instanceTerminationAction": "DELETE",
        "automaticRestart": False,
        "provisioningModel": provided.upper().replace("-", "_"),
        **({"preemptible": True} if spot else {}),
        **({"onHostMaintenance": maintenance} if maintenance else {}),
    }
