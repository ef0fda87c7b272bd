"""The Fluid-Run that proved an image, and what it says of the cluster that the image is for."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from bakery.library.base import Library
from bakery.library.proof import same_tests
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import Partition
from bakery.results.model import RunResult, Verdict


class Passed(NamedTuple):
    """A run that an image has passed: when it started (RFC 3339), how many tests, on which partitions."""

    run_id: str
    started: str
    tests: int
    partitions: tuple[Partition, ...]


def proven_by(library: Library, images: Mapping[str, str]) -> dict[str, Passed]:
    """Map images to the newest run in which each passed the tests of a digest; those without such a run are left out.

    ``images`` maps them to that digest, or to its beginning. Raises Uncertain.
    """
    last, found = library.last_runs(images.keys()), {}
    for name, tests in images.items():
        newest = [last[name]] if name in last else []
        if newest and not _passed(newest[0], tests):
            newest = [run for run in library.runs(name, outputs=False) if _passed(run, tests)]
        if newest:
            run = max(newest, key=lambda one: datetime.fromisoformat(one.started))
            found[name] = Passed(run.run_id, run.started, len(run.jobs), partitions(run))
    return found


def _passed(run: RunResult, tests: str) -> bool:
    return run.verdict is Verdict.PASSED and same_tests(tests, run.tests_digest)


def partitions(run: RunResult) -> tuple[Partition, ...]:
    """Return the partitions that the jobs of a run were on, in their order."""
    rows: dict[str, list[Mapping[str, object]]] = {}
    for job in run.jobs:
        rows.setdefault(_text(job.row, "partition"), []).append(job.row)
    return tuple(_partition(name or "debug", found) for name, found in rows.items())


def _partition(name: str, rows: list[Mapping[str, object]]) -> Partition:
    row = rows[-1]
    nic, model = _text(row, "nic_type"), _text(row, "provisioning_model")
    return Partition(
        name,
        nodes=max(_number(one, "node_count") for one in rows) or Partition(name).nodes,
        machine_type=_text(row, "machine_type"),
        disk_size_gb=_number(row, "compute_disk_size_gb"),
        gpu_type=_text(row, "gpu_type"),
        gpu_count=_number(row, "gpu_count"),
        gvnic=row.get("gvnic") is True,
        compact_placement=row.get("compact_placement") is True,
        nic_type=NicType(nic) if nic in {*NicType} else None,
        rdma_network=_text(row, "rdma_network"),
        threads_per_core=_number(row, "threads_per_core"),
        reservation=_text(row, "reservation"),
        provisioning=Provisioning(model) if model in {*Provisioning} else None,
        disk_type=_text(row, "compute_disk_type"),
    )


def _text(row: Mapping[str, object], name: str) -> str:
    return str(row.get(name) or "")


def _number(row: Mapping[str, object], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0
