"""One machine of a test cluster as Compute Engine's API takes it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud import compute_v1

from bakery.fluid_run import bootstrap
from bakery.fluid_run.clusters.run_spec import MachineSpec, Role, deadline_seconds
from bakery.orders.model import RunOrder
from bakery.recipe.model import ClusterShape, Partition
from bakery.settings import GoogleSettings
from bakery.settings.google import SSH_TAG, TEST_TAG, Bucket, Duty

START_SECONDS = 900  # until all nodes are idle
MARGIN_SECONDS = 1800  # beyond start and run, before Compute Engine itself deletes a machine
DEFAULT_MACHINE = "e2-standard-2"
RUN_LABEL = "bakery-run"
NAME_LENGTH = 63
SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


@dataclass(frozen=True)
class RunContext:
    """What all machines of a run share. ``image`` is a self link or a path of one; ``prefix`` the run's in the bucket.

    With ``open_shell`` ssh through IAP reaches the machine.
    """

    google: GoogleSettings
    order: RunOrder
    run_id: str
    prefix: str
    zone: str
    image: str
    open_shell: bool = False

    @property
    def shape(self) -> ClusterShape:
        """The recipe's cluster."""
        return self.order.suite.cluster


def instance(here: RunContext, spec: MachineSpec) -> compute_v1.Instance:
    """The machine: shielded, no external address, no key of the project, deleted by Compute Engine at its deadline."""
    partition = next((part for part in here.shape.partitions if part.name == spec.partition), None)
    card = compute_v1.NetworkInterface(subnetwork=here.google.subnetwork_path)
    if partition and partition.gvnic:
        card.nic_type = "GVNIC"
    made = compute_v1.Instance(
        name=machine_name(here.run_id, spec),
        machine_type=f"zones/{here.zone}/machineTypes/{machine_type(here.shape, partition, spec)}",
        disks=[_disk(here, partition, spec)],
        network_interfaces=[card],
        metadata=compute_v1.Metadata(items=[compute_v1.Items(key=k, value=v) for k, v in _words(here, spec).items()]),
        labels={RUN_LABEL: token(here.run_id), "bakery": "test"},
        tags=compute_v1.Tags(items=[TEST_TAG, *([SSH_TAG] if here.open_shell else [])]),
        service_accounts=[compute_v1.ServiceAccount(email=here.google.account(Duty.TEST), scopes=[SCOPE])],
        shielded_instance_config=compute_v1.ShieldedInstanceConfig(enable_vtpm=True, enable_integrity_monitoring=True),
        scheduling=_scheduling(partition, int(START_SECONDS + deadline_seconds(here.order) + MARGIN_SECONDS)),
    )
    if partition and partition.gpu_count:
        kind = f"zones/{here.zone}/acceleratorTypes/{partition.gpu_type}"
        gpu = compute_v1.AcceleratorConfig(accelerator_count=partition.gpu_count, accelerator_type=kind)
        made.guest_accelerators = [gpu]
    return made


def token(run_id: str) -> str:
    """A run in the names and labels of its machines: as it is when that is short enough, else a digest."""
    return run_id if re.fullmatch(r"[a-z0-9-]{1,24}", run_id) else hashlib.sha256(run_id.encode()).hexdigest()[:16]


def machine_name(run_id: str, spec: MachineSpec) -> str:
    """A legal name (RFC 1035, at most 63 characters) that no other machine of the project has."""
    plain = f"fr-{token(run_id)}-{spec.name}"
    legal = re.sub(r"[^a-z0-9-]", "-", plain.lower())
    if legal == plain and len(legal) <= NAME_LENGTH:
        return legal
    return f"{legal[:50].rstrip('-')}-{hashlib.sha256(spec.name.encode()).hexdigest()[:8]}"


def machine_type(shape: ClusterShape, partition: Partition | None, spec: MachineSpec) -> str:
    """The machine type of a machine."""
    asked = {Role.CONTROLLER: shape.controller_machine_type, Role.LOGIN: shape.login_machine_type}
    return (partition.machine_type if partition else asked.get(spec.role, "")) or DEFAULT_MACHINE


def _disk(here: RunContext, partition: Partition | None, spec: MachineSpec) -> compute_v1.AttachedDisk:
    head = spec.role is Role.CONTROLLER
    size = partition.disk_size_gb if partition else here.shape.controller_disk_size_gb if head else 0
    made = compute_v1.AttachedDiskInitializeParams(source_image=here.image, disk_size_gb=size or None)
    if head and here.shape.controller_disk_type:
        made.disk_type = f"zones/{here.zone}/diskTypes/{here.shape.controller_disk_type}"
    disk = compute_v1.AttachedDisk(boot=True, auto_delete=True, initialize_params=made)
    if here.google.kms_key:
        disk.disk_encryption_key = compute_v1.CustomerEncryptionKey(kms_key_name=here.google.kms_key)
    return disk


def _words(here: RunContext, spec: MachineSpec) -> dict[str, str]:
    return {
        "fluid-run-bucket": here.google.bucket(Bucket.ARTIFACTS),
        "fluid-run-prefix": here.prefix,
        "fluid-run-name": spec.name,
        "startup-script": Path(bootstrap.__file__).read_text(encoding="utf-8"),
        "block-project-ssh-keys": "true",
        "enable-oslogin": "true",
    }


def _scheduling(partition: Partition | None, deadline: int) -> compute_v1.Scheduling:
    spot = partition is not None and partition.preemptible
    words: dict[str, Any] = {"preemptible": True} if spot else {}
    return compute_v1.Scheduling(
        max_run_duration=compute_v1.Duration(seconds=deadline),
        instance_termination_action="DELETE",
        on_host_maintenance="TERMINATE",
        automatic_restart=False,
        provisioning_model="SPOT" if spot else "STANDARD",
        **words,
    )
