"""A job as a row of rcc-run's ``app_runs`` (see :mod:`bakery.results.app_runs`), and its output files."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from bakery.orders.model import RunOrder
from bakery.recipe.machine_types import first_nic
from bakery.recipe.model import ClusterShape, Json, Partition, SuiteJob
from bakery.settings.cluster import Profile

OUTPUT_LIMIT = 64 * 1024  # bytes of stdout and of stderr that a row keeps, from the end
READ_LIMIT = 16 * 1024 * 1024


def row(order: RunOrder, job: SuiteJob, raw: Mapping[str, Json], folder: Path) -> dict[str, object]:
    """Return the row of a job; ``raw`` is the agent's result, ``folder`` the job's collected output directory.

    Memory is in GB (2**30 bytes), run time in seconds. Build id, date and time are filled in when the run is stored.
    """
    shape = order.suite.cluster
    part = partition(shape, str(raw.get("partition") or job.partition or ""))
    return {
        "allocated_cpus": raw.get("allocated_cpus"),
        "allocated_gpus": part.gpu_count * int(raw.get("node_count") or 0),
        "application_name": order.package,
        "artifact_type": "gce image",
        "batch_options": job.batch_options,
        "benchmark_name": job.output_directory,
        "command_group": job.command_group,
        "controller_machine_type": shape.controller_machine_type or None,
        "controller_disk_size_gb": shape.controller_disk_size_gb or None,
        "controller_disk_type": shape.controller_disk_type or None,
        "compact_placement": part.compact_placement,
        "gvnic": part.gvnic,
        "compiler": order.compiler or None,
        "target_arch": order.target_arch or None,
        "execution_command": job.execution_command,
        "machine_type": part.machine_type or None,
        "gpu_type": part.gpu_type or None,
        "gpu_count": part.gpu_count,
        "node_count": raw.get("node_count"),
        "exit_code": int(raw.get("exit_code", 999)),
        "git_sha": order.git_sha,
        "max_memory_gb": raw.get("max_memory_gb"),
        "stderr": text(folder, "stderr", OUTPUT_LIMIT),
        "stdout": text(folder, "stdout", OUTPUT_LIMIT),
        "partition": part.name or None,
        "runtime": raw.get("runtime"),
        "vm_image": order.image,
        "nic_type": _text(part.nic_type or first_nic(part)),
        "rdma_network": part.rdma_network or None,
        "threads_per_core": part.threads_per_core or None,
        "reservation": part.reservation or None,
        "provisioning_model": _text(part.provided),
        "compute_disk_type": part.disk_type or None,
        "compute_disk_size_gb": part.disk_size_gb or None,
        # Of an existing cluster nothing is known, as of its partitions.
        "cluster_profile": str(shape.profile or Profile.SIMPLE) if shape.partitions else None,
        "test_tier": order.suite.tier or None,
    }


def _text(value: StrEnum | None) -> str | None:
    return None if value is None else str(value)


def partition(shape: ClusterShape, name: str) -> Partition:
    """Return the partition of that name; otherwise the default one, which is the first."""
    parts = [part for part in shape.partitions if part.name == name] or list(shape.partitions)
    return parts[0] if parts else Partition(name)


def text(folder: Path, name: str, limit: int = READ_LIMIT) -> str | None:
    """Return the last ``limit`` bytes of an output file as text; None if it is missing or outside of the folder."""
    file = (folder / name).resolve()
    if not file.is_relative_to(folder.resolve()) or not file.is_file():
        return None
    with file.open("rb") as source:
        source.seek(max(0, file.stat().st_size - limit))
        return source.read().decode("utf-8", "replace")
