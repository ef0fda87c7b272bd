"""What a test cluster on Compute Engine asks for: zones with its networks, and machines, which count against quotas."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bakery.errors import BakeryError
from bakery.fluid_run.clusters.instance import machine_type
from bakery.fluid_run.clusters.run_spec import MachineSpec, Role, machines
from bakery.fluid_run.clusters.sizing import MachineSize, sized
from bakery.host.budget import Budget
from bakery.host.google import Google
from bakery.host.quota_metrics import MachineDemand, counted, cpus
from bakery.host.quotas import QuotaUse
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.machine_kinds import Provisioning
from bakery.recipe.machine_types import boot_disk
from bakery.recipe.model import ClusterShape
from bakery.settings import GoogleSettings
from bakery.settings.rdma import zones_with

LEAST_DISK_GB = 10  # of a boot disk whose size is not set


def zones_of(settings: GoogleSettings, shape: ClusterShape) -> tuple[str, ...]:
    """Return the zones to try, which have the networks of all partitions. Raises BakeryError."""
    names = {part.rdma_network for part in shape.partitions if part.rdma_network}
    networks = settings.rdma_networks
    missing = sorted(names - networks.keys())
    zones = () if missing else zones_with([networks[name] for name in names], settings.bake_zones)
    if not zones:
        what = f"has no {', '.join(missing)}" if missing else f"has no zone of tests for {', '.join(sorted(names))}"
        raise BakeryError(f"google.rdmaNetworks {what}", hint="run bakery plan, which says what to do")
    return zones


def planned(order: RunOrder) -> tuple[MachineSpec, ...]:
    """Return the machines that a run will have, before Compute Engine was asked for the sizes of their types."""
    suite = order.suite
    sources = {file.path: file.source for file in order.files}

    def script(path: str) -> str:
        source = Path(sources.get(path, ""))
        return source.read_text(encoding="utf-8", errors="replace") if source.is_file() else ""

    sizes = {part.name: MachineSize(cpus(part.machine_type) or part.cpus, 1) for part in suite.cluster.partitions}
    return machines(sized(suite.cluster, suite.jobs, sizes, script))


def demands(order: RunOrder, specs: Sequence[MachineSpec]) -> Iterator[MachineDemand]:
    """Yield what each machine of a run counts against; one from a reservation counts where that was made."""
    shape = order.suite.cluster
    partitions = {part.name: part for part in shape.partitions}
    for spec in specs:
        part = partitions.get(spec.partition)
        kind, head = machine_type(order, part, spec), spec.role is Role.CONTROLLER
        if part is None:
            size, disk = (shape.controller_disk_size_gb, shape.controller_disk_type) if head else (0, "")
            yield MachineDemand(kind, disk or boot_disk(kind), size or LEAST_DISK_GB)
        elif not part.reservation:
            spot = part.provided is not Provisioning.STANDARD  # flex-start counts as spot machines do
            disk, size = part.disk_type or boot_disk(kind), part.disk_size_gb or LEAST_DISK_GB
            yield MachineDemand(kind, disk, size, part.gpu_type, part.gpu_count, spot)


@contextmanager
def room(
    google: Google, budget: Budget, zone: str, order: RunOrder, *, specs: Sequence[MachineSpec], activity: Activity
) -> Iterator[None]:
    """Wait for the quotas of a run's machines, and count these as used. Raises what both do."""
    what, count = f"the test of {order.image}", partial(counted, [*demands(order, specs)])
    with google.shared(QuotaUse).held(zone, count, what, activity), budget.used(what, len(specs)):
        yield
