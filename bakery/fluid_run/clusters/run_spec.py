"""The specification of a run, which the agents of all machines get, from the order. Pure; used by all clusters."""

import hashlib
import math
import re
from dataclasses import asdict, dataclass, replace
from enum import StrEnum

from bakery.orders.model import RunOrder
from bakery.recipe.model import ClusterShape, Json, SuiteJob
from bakery.settings.cluster import Profile

PREFIX = "fr-"  # of the names of machines and placement policies on Compute Engine
USER = {"name": "fluidrun", "uid": 20077}
JOB_SECONDS = 3600.0  # allowed for a job without a time limit
FIRST_ADDRESS = 10  # of the machines of a local cluster: 10.77.0.10 to 10.77.0.254
MOST_MACHINES = 245
LOGIN_MEMORY_MB = 768  # as the other machines have unless a recipe says otherwise: one boot serves all of a cluster
SLACK_SECONDS = 120.0  # for submitting, scheduling and collecting


class Role(StrEnum):
    """The role of a machine in the cluster."""

    CONTROLLER = "controller"
    LOGIN = "login"
    COMPUTE = "compute"


@dataclass(frozen=True)
class MachineSpec:
    """One machine, as the agent reads it.

    ``partition`` is empty if it runs no jobs, ``mac`` if the agent does not configure the network.
    """

    name: str
    role: Role
    cpus: int
    memory_mb: int
    partition: str = ""
    address: str = ""
    mac: str = ""
    gpus: int = 0


def machines(shape: ClusterShape) -> tuple[MachineSpec, ...]:
    """Return controller, login machines and nodes; if no partition has a node, the controller runs the jobs itself."""
    nodes = [
        MachineSpec(f"{part.name}-{number}", Role.COMPUTE, part.cpus, part.memory_mb, part.name, gpus=part.gpu_count)
        for part in shape.partitions
        for number in range(part.nodes)
    ]
    alone = "" if nodes else (shape.partitions[0].name if shape.partitions else "debug")
    head = MachineSpec(
        "controller", Role.CONTROLLER, shape.controller_cpus, shape.controller_memory_mb, partition=alone
    )
    logins = [MachineSpec(f"login-{number}", Role.LOGIN, 1, LOGIN_MEMORY_MB) for number in range(shape.login_nodes)]
    return (head, *logins, *nodes)


def on_private_network(specs: tuple[MachineSpec, ...], run_id: str) -> tuple[MachineSpec, ...]:
    """Return the machines with addresses in 10.77.0.0/24, the run's own MACs (locally administered), and no GPUs.

    There are addresses for MOST_MACHINES.
    """
    seed = hashlib.sha256(run_id.encode()).digest()
    prefix = "52:" + ":".join(f"{byte:02x}" for byte in seed[:4])
    return tuple(
        replace(spec, address=f"10.77.0.{number}", mac=f"{prefix}:{number:02x}", gpus=0)
        for number, spec in enumerate(specs, FIRST_ADDRESS)
    )


def job_json(job: SuiteJob) -> dict[str, Json]:
    """Return a job as the agent reads it."""
    return {
        "command_group": job.command_group,
        "execution_command": job.execution_command,
        "output_directory": job.output_directory,
        "partition": job.partition or "",
        "batch_options": job.batch_options,
        "time_limit": job.time_limit,
        "attempts": job.attempts,
    }


def run_spec(
    order: RunOrder,
    run_id: str,
    specs: tuple[MachineSpec, ...],
    *,
    munge_key: str,
    start_seconds: int,
    project: str = "",
) -> dict[str, Json]:
    """Return the JSON object that every machine of the cluster gets; ``munge_key`` is base64."""
    shape = order.suite.cluster
    return {
        "version": 1,
        "profile": shape.profile or Profile.SIMPLE,
        **({"site": shape.site} if shape.site else {}),
        "cluster": "fr" + hashlib.sha256(run_id.encode()).hexdigest()[:10],
        "machines": [asdict(spec) for spec in specs],
        "prefix": 24,
        "munge_key": munge_key,
        "user": USER,
        "start_seconds": start_seconds,
        "deadline_seconds": deadline_seconds(order),
        "env": {"PROJECT": project, "GIT_SHA": order.git_sha, "GCE_IMAGE": order.image, **order.env},
        "env_paths": dict(order.env_paths),
        "ignore_dependencies": order.ignore_dependencies,
        "jobs": [job_json(job) for job in order.suite.jobs],
    }


def allowed_seconds(job: SuiteJob) -> float:
    """Return the seconds that a job may take: its limit, else ``--time`` of its batch options, else an hour."""
    if job.time_limit:
        return float(job.time_limit) * job.attempts
    option = re.search(r"(?<!\S)(?:--time[= ]|-t ?)([\d:-]+)", job.batch_options)
    return (slurm_seconds(option[1]) if option else JOB_SECONDS) * job.attempts


def slurm_seconds(text: str) -> float:
    """Return the seconds of a time as in ``sbatch --time``: M, M:S, H:M:S, D-H, D-H:M or D-H:M:S, see sbatch(1)."""
    days, dash, clock = text.rpartition("-")
    parts = [int(part or 0) for part in clock.split(":")]
    if not dash and len(parts) < 3:
        parts = [0, *parts]  # without hours
    hours, minutes, seconds = [*parts, 0, 0][:3]
    return float(((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds)


def deadline_seconds(order: RunOrder) -> float:
    """Return the limit of the run stage in seconds: all jobs one after the other, and some slack."""
    return math.fsum(allowed_seconds(job) for job in order.suite.jobs) + SLACK_SECONDS
