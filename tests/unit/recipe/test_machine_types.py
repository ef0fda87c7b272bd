"""What machines of Compute Engine can be, and that a recipe says it before anything is baked."""

from __future__ import annotations

import pytest

from bakery.recipe import machine_types
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition

IRDMA, MRDMA, IDPF, GVNIC = NicType.IRDMA, NicType.MRDMA, NicType.IDPF, NicType.GVNIC
FLEX, SPOT = Provisioning.FLEX_START, Provisioning.SPOT
METAL = "c3-standard-192-metal"


@pytest.mark.parametrize(
    ("partition", "field", "says"),
    [
        (Partition("p", machine_type="c3-standard-8", nic_type=IRDMA, rdma_network="f"), "nic_type", "no IRDMA"),
        (Partition("p", machine_type="h4d-standard-192", nic_type=MRDMA, rdma_network="f"), "nic_type", "no MRDMA"),
        (Partition("p", machine_type="h4d-standard-192", nic_type=IRDMA), "nic_type", "needs a network"),
        (Partition("p", machine_type="h4d-standard-192", rdma_network="f"), "rdma_network", "needs nic_type"),
        (Partition("p", machine_type="c3-standard-8", nic_type=IDPF), "nic_type", "no IDPF"),
        (Partition("p", machine_type=METAL, nic_type=GVNIC), "nic_type", "no GVNIC"),
        (Partition("p", machine_type=METAL, gvnic=True), "gvnic", "no GVNIC"),
        (Partition("p", machine_type=METAL, gvnic=True, nic_type=IDPF), "gvnic", "contradicts nic_type IDPF"),
        (Partition("p", machine_type="e2-medium", threads_per_core=1), "threads_per_core", "less than a core"),
        (Partition("p", machine_type="h3-standard-88", threads_per_core=2), "threads_per_core", "one thread"),
        (Partition("p", machine_type="n1-standard-8", compact_placement=True), "compact_placement", "no compact"),
        (Partition("p", compact_placement=True), "compact_placement", "e2-standard-2 has no compact"),
        (Partition("p", machine_type="c2-standard-8", provisioning=FLEX), "provisioning", "no flex-start"),
        (
            *(Partition("p", machine_type="a2-highgpu-1g", provisioning=FLEX, compact_placement=True),),
            *("compact_placement", "none with flex-start"),
        ),
        (Partition("p", machine_type="h4d-standard-192", provisioning=FLEX, preemptible=True), "preemptible", "contra"),
        (Partition("p", machine_type="c2-standard-8", preemptible=True, reservation="r"), "reservation", "spot"),
        (Partition("p", machine_type="h4d-standard-192", provisioning=FLEX, reservation="r"), "reservation", "flex"),
        (Partition("p", machine_type="c3-standard-8", disk_type="pd-standard"), "disk_type", "can't boot from"),
        (Partition("p", machine_type="h4d-standard-192", disk_type="pd-ssd"), "disk_type", "can't boot from"),
        (Partition("p", disk_type="hyperdisk-balanced"), "disk_type", "e2-standard-2 can't boot from"),
    ],
)
def test_a_pair_that_google_refuses_is_a_fault_of_one_field(partition: Partition, field: str, says: str) -> None:
    (fault,) = machine_types.faults(partition)
    assert fault.field == field
    assert says in fault.message
    assert fault.hint


@pytest.mark.parametrize(
    "partition",
    [
        Partition("p"),
        Partition("p", gvnic=True, preemptible=True, provisioning=SPOT),
        Partition("p", machine_type="h4d-highmem-192-lssd", nic_type=IRDMA, rdma_network="f", compact_placement=True),
        Partition("p", machine_type="h4d-highmem-192-lssd", provisioning=FLEX, disk_type="hyperdisk-balanced"),
        Partition("p", machine_type="a3-ultragpu-8g", nic_type=MRDMA, rdma_network="r", provisioning=FLEX),
        Partition("p", machine_type="a4x-maxgpu-4g-metal", nic_type=MRDMA, rdma_network="r"),
        Partition("p", machine_type=METAL, nic_type=IDPF, threads_per_core=1),
        Partition("p", machine_type="t2d-standard-8", threads_per_core=1),
        Partition("p", machine_type="c2-standard-60", compact_placement=True, reservation="r", threads_per_core=1),
        Partition("p", machine_type="new9-standard-8", compact_placement=True, disk_type="pd-standard"),
        Partition("p", machine_type="zones/z/machineTypes/e2-medium", threads_per_core=1),
    ],
)
def test_what_google_takes_or_is_not_known_is_no_fault(partition: Partition) -> None:
    assert list(machine_types.faults(partition)) == []


def test_the_first_interface_of_a_node_is_never_one_for_rdma() -> None:
    assert machine_types.first_nic(Partition("p", machine_type="h4d-standard-192", nic_type=IRDMA)) is GVNIC
    assert machine_types.first_nic(Partition("p", machine_type="a4x-maxgpu-4g-metal", nic_type=MRDMA)) is IDPF
    assert machine_types.first_nic(Partition("p")) is None


def test_the_controllers_disk_is_judged_too() -> None:
    shape = ClusterShape(controller_machine_type="n4-standard-4", controller_disk_type="pd-ssd")
    fault = machine_types.controller_fault(shape)
    assert fault is not None
    assert (fault.field, fault.hint) == ("controller_disk_type", "use hyperdisk-balanced, or leave it out")
    assert machine_types.controller_fault(ClusterShape()) is None
