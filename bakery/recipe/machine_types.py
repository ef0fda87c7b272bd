"""What machines of Compute Engine can be, by machine type: a table of pairs that Google refuses. Pure.

A series that is not named here is not judged: new ones appear, and Google knows them before this table does. Sources,
each read on 2026-11-30:

- network interfaces: https://docs.cloud.google.com/vpc/docs/rdma-network-profiles and
  https://docs.cloud.google.com/compute/docs/networking/using-idpf
- threads: ``supports_smt`` in Cluster Toolkit's ``util.py``, commit 1047080, and its pull request 382
- placement: ``valid_placement_node`` in ``resume.py`` of the same commit; with flex-start: its ``gke-node-pool``
- flex-start: https://docs.cloud.google.com/compute/docs/instances/about-flex-start-vms
- disks: Compute Engine's "Hyperdisk: machine series support"; Cluster Toolkit's examples for A3 Ultra, A4 and H4D
- features of public images: GoogleCloudPlatform/compute-image-tools, ``daisy_workflows/build-publish``, commit 433e600
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition

DEFAULT_MACHINE = "e2-standard-2"  # of a partition without a machine type, for x86_64
_TYPE = re.compile(r"[a-z][a-z0-9]*-[a-z0-9-]+")
_METAL = re.compile(r".*-metal(-.*)?")
_RDMA = {NicType.IRDMA: re.compile(r"h4d-.*"), NicType.MRDMA: re.compile(r"(a3-ultragpu|a4|a4x)-.*")}
_ONE_THREAD = re.compile(r"(t2a|t2d|c4a|n4a|h3|h4d)-.*")
_LESS_THAN_A_CORE = re.compile(r"f1-micro|g1-small|e2-(micro|small|medium)|n1-standard-1")
_NOT_COMPACT = re.compile(r"(e2|f1|g1|n1|t2a|t2d|m1|m2|m3)-.*")
_FLEX_START = re.compile(r"(a2|a3|a4|g2|h4d|n1)-.*")
_FLEX_COMPACT = re.compile(r"(a3-ultragpu|a4|h4d)-.*")
_HYPERDISK_ONLY = re.compile(r"([cn]4[ad]?|h4d|a3-ultragpu|a4|a4x)-.*")
_NO_HYPERDISK = re.compile(r"(e2|f1|g1|n1|t2a)-.*")
HYPERDISK = "hyperdisk-balanced"
_REFUSED_DISKS = {"c3": ("pd-standard",), "h3": ("pd-standard", "pd-ssd")}
# Families of public images to the interfaces that they have drivers for.
_PUBLIC = (
    (re.compile(r"debian-13(-arm64)?"), (NicType.GVNIC, NicType.IDPF)),
    (re.compile(r"debian-1[12](-arm64)?"), (NicType.GVNIC,)),
)
FEATURES = (NicType.GVNIC, NicType.IDPF)  # the interfaces that an image has to name among its guest OS features


class Fault(NamedTuple):
    """A pair that Google refuses: the field of the partition, what is wrong, what to do."""

    field: str
    message: str
    hint: str


def has_one_thread(machine: str) -> bool:
    """Return whether each core of the machine type has one thread, whatever is asked for."""
    return bool(_ONE_THREAD.fullmatch(machine))


def boot_disk(machine: str) -> str:
    """Return the type of the boot disk of a machine type that takes no persistent disk; "" for the others."""
    return HYPERDISK if _HYPERDISK_ONLY.fullmatch(machine) else ""


def disk_fault(machine: str, disk: str) -> bool:
    """Return whether a machine type can't boot from this type of disk."""
    if disk.startswith("hyperdisk-"):
        return bool(_NO_HYPERDISK.fullmatch(machine))
    refused = _REFUSED_DISKS.get(machine.partition("-")[0], ())
    return disk in refused or (disk.startswith("pd-") and bool(_HYPERDISK_ONLY.fullmatch(machine)))


def first_nic(partition: Partition) -> NicType | None:
    """Return the kind of the first network interface of a node; None leaves it to Compute Engine."""
    if partition.nic_type and partition.nic_type.rdma:
        return NicType.IDPF if _METAL.fullmatch(partition.machine_type) else NicType.GVNIC
    return partition.nic_type or (NicType.GVNIC if partition.gvnic else None)


def public_features(family: str) -> tuple[NicType, ...] | None:
    """Return the interfaces that a public image has drivers for; None if the family is not in the table."""
    return next((has for form, has in _PUBLIC if form.fullmatch(family)), None)


def faults(partition: Partition) -> Iterator[Fault]:
    """Yield what Google would refuse of a partition, whatever its image is."""
    machine = partition.machine_type or DEFAULT_MACHINE
    if not _TYPE.fullmatch(machine):  # a path, or what only a run knows
        return
    yield from _nic_faults(partition, machine)
    yield from _thread_faults(partition.threads_per_core, machine)
    if partition.compact_placement and _NOT_COMPACT.fullmatch(machine):
        hint = "take another series, as c2, c3 or h4d, or no compact placement"
        yield Fault("compact_placement", f"machine type {machine} has no compact placement", hint)
    yield from _provisioning_faults(partition, machine)
    if partition.disk_type and disk_fault(machine, partition.disk_type):
        hint = f"use {boot_disk(machine) or 'pd-balanced'}, or leave it out"
        yield Fault("disk_type", f"machine type {machine} can't boot from {partition.disk_type}", hint)


def controller_fault(shape: ClusterShape) -> Fault | None:
    """Return what Google would refuse of the controller; None if nothing is known."""
    machine, disk = shape.controller_machine_type, shape.controller_disk_type
    if not (machine and disk and disk_fault(machine, disk)):
        return None
    message = f"machine type {machine} can't boot from {disk}"
    return Fault("controller_disk_type", message, f"use {boot_disk(machine) or 'pd-balanced'}, or leave it out")


def _nic_faults(partition: Partition, machine: str) -> Iterator[Fault]:
    kind, metal = partition.nic_type, _METAL.fullmatch(machine) is not None
    if kind and partition.gvnic and first_nic(partition) is not NicType.GVNIC:
        yield Fault("gvnic", f"contradicts nic_type {kind}", "remove gvnic: nic_type counts")
    if kind and kind.rdma:
        if not _RDMA[kind].fullmatch(machine):
            hint = "IRDMA is for h4d-*, MRDMA for a3-ultragpu-*, a4-* and a4x-*"
            yield Fault("nic_type", f"machine type {machine} has no {kind} interface", hint)
        if not partition.rdma_network:
            hint = "name a network of the setting google.rdmaNetworks as rdma_network"
            yield Fault("nic_type", f"{kind} needs a network with an RDMA profile", hint)
    elif partition.rdma_network:
        yield Fault("rdma_network", "needs nic_type IRDMA or MRDMA", "add nic_type, or remove rdma_network")
    first = first_nic(partition)
    if first and metal != (first is NicType.IDPF):
        hint = "bare metal has IDPF, all other machine types have GVNIC"
        yield Fault("nic_type" if kind else "gvnic", f"machine type {machine} has no {first} interface", hint)


def _thread_faults(threads: int, machine: str) -> Iterator[Fault]:
    if threads and _LESS_THAN_A_CORE.fullmatch(machine):
        hint = "remove it, or take a machine type with whole cores"
        yield Fault("threads_per_core", f"machine type {machine} has less than a core", hint)
    if threads == 2 and has_one_thread(machine):
        yield Fault("threads_per_core", f"machine type {machine} has one thread for each core", "write 1, or remove it")


def _provisioning_faults(partition: Partition, machine: str) -> Iterator[Fault]:
    provided = partition.provided
    if partition.preemptible and provided is not Provisioning.SPOT:
        yield Fault("preemptible", f"contradicts provisioning {provided}", "remove preemptible: provisioning counts")
    if partition.reservation and provided is not Provisioning.STANDARD:
        hint = "remove the reservation, or use provisioning: standard"
        yield Fault("reservation", f"{provided} machines take nothing from a reservation", hint)
    if provided is not Provisioning.FLEX_START:
        return
    if not _FLEX_START.fullmatch(machine):
        hint = "flex-start is for machines with GPUs (a2, a3, a4, g2, n1) and h4d"
        yield Fault("provisioning", f"machine type {machine} has no flex-start", hint)
    elif partition.compact_placement and not _FLEX_COMPACT.fullmatch(machine):
        hint = "with both take a3-ultragpu, a4 or h4d"
        yield Fault("compact_placement", f"machine type {machine} has none with flex-start", hint)
