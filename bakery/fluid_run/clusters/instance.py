"""One machine of a test cluster as a request to Compute Engine."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud import compute_v1

from bakery.fluid_run import bootstrap
from bakery.fluid_run.clusters.run_spec import PREFIX, MachineSpec, Role, deadline_seconds
from bakery.orders.model import RunOrder
from bakery.recipe.machine_types import DEFAULT_MACHINE, boot_disk, first_nic, has_one_thread
from bakery.recipe.model import ClusterShape, Partition, Provisioning
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
    def wait_seconds(self) -> int:
        """How long a machine may wait for others that are provided when there is capacity."""
        return FLEX_WAIT_SECONDS if any(_flexible(part) for part in self.shape.partitions) else 0


def instance(run: RunContext, spec: MachineSpec) -> compute_v1.Instance:
    """Return the machine: shielded, no external address, no project keys, deleted by Compute Engine at its deadline."""
    partition = next((part for part in run.shape.partitions if part.name == spec.partition), None)
    kind = machine_type(run.order, partition, spec)
    machine = compute_v1.Instance(
        name=machine_name(run.run_id, spec),
        machine_type=f"zones/{run.zone}/machineTypes/{kind}",
        disks=[_disk(run, partition, spec)],
        network_interfaces=_interfaces(run, partition, spec),
        metadata=compute_v1.Metadata(items=[compute_v1.Items(key=k, value=v) for k, v in _metadata(run, spec).items()]),
        labels={RUN_LABEL: token(run.run_id), "bakery": "test"},
        tags=compute_v1.Tags(items=[TEST_TAG, *([SSH_TAG] if run.open_seconds else [])]),
        service_accounts=[compute_v1.ServiceAccount(email=run.google.account(Duty.TEST), scopes=[SCOPE])],
        shielded_instance_config=compute_v1.ShieldedInstanceConfig(
            enable_secure_boot=run.secure_boot, enable_vtpm=True, enable_integrity_monitoring=True
        ),
        scheduling=_scheduling(
            partition,
            kind,
            int(run.wait_seconds + START_SECONDS + deadline_seconds(run.order) + run.open_seconds + MARGIN_SECONDS),
        ),
    )
    if partition:
        _add_properties(machine, run, partition, kind)
    return machine


def _interfaces(run: RunContext, partition: Partition | None, spec: MachineSpec) -> list[compute_v1.NetworkInterface]:
    """Return the interface in the network of tests, and those in the partition's network with an RDMA profile."""
    first = compute_v1.NetworkInterface(subnetwork=run.google.subnetwork_path)
    if spec.address:  # of a machine that this one replaces
        first.network_i_p = spec.address
    if partition and (kind := first_nic(partition)):
        first.nic_type = kind.value
    if not partition or not partition.rdma_network or not partition.nic_type:
        return [first]
    others = run.google.rdma_networks[partition.rdma_network].paths(run.google.project)
    kind = partition.nic_type
    return [first, *(compute_v1.NetworkInterface(subnetwork=one, nic_type=kind.value) for one in others)]


def _add_properties(machine: compute_v1.Instance, run: RunContext, partition: Partition, kind: str) -> None:
    """Add what the partition asks for, and Compute Engine does not do by itself."""
    if partition.gpu_count:
        accelerator = f"zones/{run.zone}/acceleratorTypes/{partition.gpu_type}"
        machine.guest_accelerators = [
            compute_v1.AcceleratorConfig(accelerator_count=partition.gpu_count, accelerator_type=accelerator)
        ]
    if partition.threads_per_core and not has_one_thread(kind):
        machine.advanced_machine_features = compute_v1.AdvancedMachineFeatures(
            threads_per_core=partition.threads_per_core
        )
    if partition.compact_placement:
        machine.resource_policies = [policy_path(run.google.project, run.zone, policy_name(run.run_id, partition.name))]
    if partition.reservation:
        machine.reservation_affinity = compute_v1.ReservationAffinity(
            consume_reservation_type="SPECIFIC_RESERVATION", key=RESERVATION, values=[partition.reservation]
        )
    if _flexible(partition):
        machine.reservation_affinity = compute_v1.ReservationAffinity(consume_reservation_type="NO_RESERVATION")
        wait = compute_v1.Duration(seconds=FLEX_WAIT_SECONDS)
        machine.params = compute_v1.InstanceParams(request_valid_for_duration=wait)


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


def _disk(run: RunContext, partition: Partition | None, spec: MachineSpec) -> compute_v1.AttachedDisk:
    head = spec.role is Role.CONTROLLER
    size = partition.disk_size_gb if partition else run.shape.controller_disk_size_gb if head else 0
    params = compute_v1.AttachedDiskInitializeParams(source_image=run.image, disk_size_gb=size or None)
    asked = partition.disk_type if partition else run.shape.controller_disk_type if head else ""
    if kind := asked or boot_disk(machine_type(run.order, partition, spec)):
        params.disk_type = f"zones/{run.zone}/diskTypes/{kind}"
    disk = compute_v1.AttachedDisk(boot=True, auto_delete=True, initialize_params=params)
    if run.google.kms_key:
        disk.disk_encryption_key = compute_v1.CustomerEncryptionKey(kms_key_name=run.google.kms_key)
    return disk


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


def _scheduling(partition: Partition | None, machine: str, deadline: int) -> compute_v1.Scheduling:
    provided = partition.provided if partition else Provisioning.STANDARD
    spot, flexible = provided is Provisioning.SPOT, provided is Provisioning.FLEX_START
    ends = spot or flexible or (partition is not None and partition.compact_placement)
    maintenance = host_maintenance(machine, ends=ends, accelerators=partition.gpu_count if partition else 0)
    more: dict[str, Any] = {"preemptible": True} if spot else {}
    if maintenance:
        more["on_host_maintenance"] = maintenance
    return compute_v1.Scheduling(
        max_run_duration=compute_v1.Duration(seconds=min(deadline, FLEX_LONGEST) if flexible else deadline),
        instance_termination_action="DELETE",
        automatic_restart=False,
        provisioning_model=provided.upper().replace("-", "_"),
        **more,
    )
