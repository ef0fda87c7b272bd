"""The upgrade of a cluster of the family's present image, which takes the tested image node by node while jobs run.

Every node has a job that runs while the nodes before it are replaced, and that is still running when its own node is
drained; others wait in the queue meanwhile; at the end a job uses all nodes of a partition. Slurm must complete each of
them at the first try. The controller keeps the present image, as its state would have to move.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bakery.errors import BakeryError, ImageRejected, InfrastructureFailed
from bakery.fluid_run.agent import wire
from bakery.fluid_run.base import AgentStatus
from bakery.fluid_run.clusters.run_spec import Role, machines
from bakery.host.process import TAIL_LINES
from bakery.library.base import ImageRecord, Library
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Json, Partition, Suite, SuiteJob

NODES = 2  # of a partition: one is in service while the other one is replaced
QUEUED = 2  # jobs of a partition that wait for a node
TURN_SECONDS = 1800  # of a node, at most
SHORT_SECONDS = 600  # of a job that waits for nothing
SCRIPT = "fluid-run-upgrade.sh"
SCRIPT_TEXT = f"""\
#!/bin/bash
# A job of the upgrade test: `through IMAGE` runs until its node may be drained, `short IMAGE` ends at once.
set -eu
echo "$1: $(hostname), of a cluster of $2"
boot=$(cat /proc/sys/kernel/random/boot_id)
seconds=0
until [ "$1" = short ] || [ -e "$WORKSPACE/{wire.RELEASE}" ]; do
    sleep 1
    seconds=$((seconds + 1))
done
srun hostname | sort
[ "$boot" = "$(cat /proc/sys/kernel/random/boot_id)" ]
echo "waited: $seconds"
"""


def present_image(order: RunOrder, image: ImageRecord, library: Library, activity: Activity) -> ImageRecord | None:
    """Return the family's present image if the tests ask for an upgrade from it; say so if there is none."""
    if not order.suite.upgrade:
        return None
    name = library.families().get(image.candidate_for, "")
    present = library.find(name) if name else None
    if present is None:
        activity.say(f"testing: no upgrade: {image.candidate_for} has no image yet")
        return None
    if present.digest == image.digest:
        activity.say(f"testing: no upgrade: {image.candidate_for} has this image already")
        return None
    return present


def upgrade_order(order: RunOrder, present: ImageRecord) -> RunOrder:
    """Return the order of the upgrade: its jobs, on at most two nodes of each partition that the recipe's jobs use."""
    shape = _shape(order.suite)
    nodes = [spec for spec in machines(shape) if spec.role is Role.COMPUTE]
    jobs = [
        _job(
            f"{wire.THROUGH}{spec.name}",
            f"through {present.name}",
            spec.partition,
            f"--nodes=1 --nodelist={spec.name} --exclusive",
            TURN_SECONDS * turn,
        )
        for turn, spec in enumerate(nodes, 1)
    ]
    for part in shape.partitions:
        short = f"short {present.name}"
        jobs += [
            _job(f"upgrade/queued-{part.name}-{number}", short, part.name, "--nodes=1", SHORT_SECONDS)
            for number in range(QUEUED)
        ]
        options = f"--hold --nodes={part.nodes} --ntasks-per-node=1"
        jobs.append(_job(f"{wire.AFTER}{part.name}", short, part.name, options, SHORT_SECONDS))
    files = tuple(file for file in order.files if file.path in shape.site.values())
    return replace(order, suite=Suite(tuple(jobs), shape), files=files, env={}, env_paths={}, ignore_dependencies=True)


def _shape(suite: Suite) -> ClusterShape:
    first = suite.cluster.partitions[0].name if suite.cluster.partitions else ""
    used = {job.partition or first for job in suite.jobs}
    parts: Sequence[Partition] = [part for part in suite.cluster.partitions if part.name in used]
    return replace(
        suite.cluster, login_nodes=0, partitions=tuple(replace(part, nodes=min(part.nodes, NODES)) for part in parts)
    )


def _job(directory: str, arguments: str, partition: str, options: str, seconds: int) -> SuiteJob:
    return SuiteJob("upgrade", f"{SCRIPT} {arguments}", directory, partition, options, min(seconds, 86400))


def write_script(workspace: Path) -> None:
    """Write the script of the jobs."""
    (workspace / SCRIPT).write_text(SCRIPT_TEXT, encoding="utf-8")
    (workspace / SCRIPT).chmod(0o755)


def failure(
    order: RunOrder, present: ImageRecord, status: AgentStatus, results: Mapping[str, Json] | None, folder: Path
) -> BakeryError | None:
    """Return why the upgrade failed; None if it did not, as far as the fate of the jobs is concerned.

    A lost job is the image's fault. An error before a node was replaced is not: all machines had the present image.
    """
    jobs = list(zip(order.suite.jobs, results["jobs"] if results else (), strict=False))
    lost = [(job, raw) for job, raw in jobs if raw.get("lost") or raw.get("restarts")]
    what = f"{order.image}: the upgrade of a cluster of {present.name}"
    if lost:
        named = ", ".join(_fate(job, raw) for job, raw in lost)
        return ImageRejected(
            f"{what} lost {len(lost)} of {len(jobs)} jobs: {named}", tail=_log(folder, [raw for _, raw in lost])
        )
    if not status.error:
        return None
    if status.image_fault and status.reimage:
        return ImageRejected(f"{what}: {status.error}", tail=_log(folder, [{"nodes": status.reimage}]))
    return InfrastructureFailed(f"{what}: {status.error}", tail=_log(folder, []))


def _fate(job: SuiteJob, raw: Mapping[str, Json]) -> str:
    restarts = raw.get("restarts")
    end = f"was put back into the queue (restarts: {restarts})" if restarts else f"ended {raw['state']}"
    return f"{job.output_directory} (job {raw.get('job_id')} on {raw.get('nodes') or 'no node'}) {end}"


def _log(folder: Path, jobs: Sequence[Mapping[str, Json]]) -> tuple[str, ...]:
    """Return the last lines of the controller's log that name one of the jobs or its nodes; all lines without jobs."""
    file = folder / "machines/controller/logs/slurmctld.log"
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else []
    numbers = [f"JobId={raw['job_id']}" for raw in jobs if raw.get("job_id")]
    words = [*numbers, *(raw["nodes"] for raw in jobs if raw.get("nodes"))]
    wanted = re.compile(rf"\b(?:{'|'.join(map(re.escape, words))})\b" if words else "")
    return tuple(filter(wanted.search, lines))[-TAIL_LINES:]
