"""The quotas of a region and of its project that a machine counts against, by its type and its disk. Pure.

What is in no table is not counted: series since C3D have a quota by family (``CPUS_PER_VM_FAMILY``), which the API of
Compute Engine does not list, and Google refuses a machine that exceeds it. The bakery's machines have no external
address, so they count against no quota of addresses. Sources, each read on 2026-12-01:

- metrics: ``Quota.metric`` in the discovery document of Compute Engine, revision 20261106
- the metric of a series: ``networkperf/setup.go`` of GoogleCloudPlatform/guest-test-infra; those of N1 and of machines
  with less than a core are CPUS
- spot machines: "Preemptible quotas" of https://cloud.google.com/compute/resource-usage; without such a quota they
  count as others do
- processors and GPUs: the names of machine types, https://cloud.google.com/compute/docs/machine-resource
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

_OWN = ("a2", "c2", "c2d", "c3", "e2", "m1", "m2", "m3", "n2", "n2d", "t2a", "t2d")  # <series>_CPUS
_COMMON = ("n1", "f1", "g1")  # CPUS, as a custom type without a series
_SHARED_CORE = {"f1-micro": 1, "g1-small": 1, "e2-micro": 2, "e2-small": 2, "e2-medium": 2}
_CUSTOM = re.compile(r"(?:\w+-)?custom-(\d+)-.*")
_SIZED = re.compile(r"\w+-[a-z]+-(\d+)(?:-.*)?")
_A2 = re.compile(r"a2-(high|ultra|mega)gpu-(\d+)g")
_A2_CPUS, _A2_MOST = 12, 96  # for each GPU, and of the largest
_L4 = {4: 1, 8: 1, 12: 1, 16: 1, 24: 2, 32: 1, 48: 4, 96: 8}  # GPUs of g2-standard-N
_DISKS = {"pd-standard": "DISKS_TOTAL_GB", "hyperdisk-balanced": "HDB_TOTAL_GB"}
_SSD = ("pd-ssd", "pd-balanced", "pd-extreme")
OF_PROJECT = ("CPUS_ALL_REGIONS", "GPUS_ALL_REGIONS")


class MachineDemand(NamedTuple):
    """A machine that will be asked for; ``disk_gb`` of its boot disk, "" as a kind of disk is Compute Engine's own."""

    machine_type: str
    disk_type: str = ""
    disk_gb: int = 10
    gpu_type: str = ""
    gpus: int = 0
    spot: bool = False


def cpus(machine_type: str) -> int:
    """Return the processors of a machine type, as its name says; 0 if it does not."""
    if machine_type in _SHARED_CORE:
        return _SHARED_CORE[machine_type]
    if a2 := _A2.fullmatch(machine_type):
        return min(_A2_CPUS * int(a2[2]), _A2_MOST)
    match = _CUSTOM.fullmatch(machine_type) or _SIZED.fullmatch(machine_type)
    return int(match[1]) if match else 0


def counted(machines: Iterable[MachineDemand], granted: Collection[str]) -> Mapping[str, int]:
    """Return how much the machines take of each quota; ``granted`` are the metrics whose limit is not 0."""
    total: Counter[str] = Counter()
    for machine in machines:
        total["INSTANCES"] += 1
        kind = machine.disk_type or "pd-standard"
        if disk := "SSD_TOTAL_GB" if kind in _SSD else _DISKS.get(kind):
            total[disk] += machine.disk_gb
        _add(total, machine, granted, _cpu_metric(machine.machine_type), cpus(machine.machine_type), OF_PROJECT[0])
        gpu, gpus = _gpus(machine)
        _add(total, machine, granted, gpu, gpus, OF_PROJECT[1])
    return +total


def _add(  # noqa: PLR0917
    total: Counter[str], machine: MachineDemand, granted: Collection[str], metric: str, amount: int, everywhere: str
) -> None:
    """Add an amount to its metric, and to that of all regions unless it counts against a quota for spot machines."""
    if machine.spot and (own := _spot_metric(metric)) in granted:
        total[own] += amount
    elif metric:
        total[metric] += amount
        total[everywhere] += amount


def _cpu_metric(machine_type: str) -> str:
    series = machine_type.partition("-")[0]
    if series in _COMMON or series == "custom":
        return "CPUS"
    return f"{series.upper()}_CPUS" if series in _OWN else ""


def _spot_metric(metric: str) -> str:
    return "PREEMPTIBLE_CPUS" if metric.endswith("CPUS") else f"PREEMPTIBLE_{metric}"


def _gpus(machine: MachineDemand) -> tuple[str, int]:
    """Return the metric of the machine's GPUs, "" without any, and their number."""
    kind = machine.machine_type
    if a2 := _A2.fullmatch(kind):
        return "NVIDIA_A100_80GB_GPUS" if a2[1] == "ultra" else "NVIDIA_A100_GPUS", int(a2[2])
    if kind.startswith("g2-"):
        return "NVIDIA_L4_GPUS", _L4.get(cpus(kind), 0)
    name = machine.gpu_type.rpartition("/")[2].removeprefix("nvidia-").removeprefix("tesla-")
    return (f"NVIDIA_{name.upper().replace('-', '_')}_GPUS", machine.gpus) if name and machine.gpus else ("", 0)
