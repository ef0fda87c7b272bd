"""Slurm's configuration for the cluster of a run, as files of this machine."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .system import LOGS, STATE, RunError, command, find_program, make_folder, user_exists, write_file
from .wire import Json, RunSpec

CONFIGURATION = (Path("/etc/slurm"), Path("/usr/local/etc/slurm"), Path("/opt/slurm/etc"))
PLUGINS = ("usr/lib/*/slurm*", "usr/lib64/slurm", "usr/local/lib/slurm", "opt/slurm/lib/slurm")


class SlurmFacts:
    """Facts about the image's Slurm: version, user of slurmctld, and whether it can start PMIx ranks."""

    def __init__(self, version: tuple[int, int], user: str, pmix: bool) -> None:
        self.version = version
        self.user = user
        self.pmix = pmix


def slurm_facts() -> SlurmFacts:
    """Inspect the image. Raises RunError if it has no Slurm."""
    # The daemons print their version without a configuration, the clients do not.
    daemon = shutil.which("slurmd") or shutil.which("slurmctld") or find_program("slurmd")
    version = re.search(r"(\d+)\.(\d+)", command(daemon, "-V"))
    if version is None:
        raise RunError(f"{daemon} -V prints no version", blame="image")
    pmix = any(True for folder in PLUGINS for _ in Path("/").glob(f"{folder}/mpi_pmix*.so"))
    return SlurmFacts((int(version[1]), int(version[2])), "slurm" if user_exists("slurm") else "root", pmix)


def compute_machines(run_spec: RunSpec) -> list[Mapping[str, Json]]:
    """Return the machines that run jobs; without compute machines this is the controller."""
    return [machine for machine in run_spec["machines"] if machine.get("partition")]


def controller(run_spec: RunSpec) -> Mapping[str, Json]:
    """Return the controller."""
    machine: Mapping[str, Json] = next(one for one in run_spec["machines"] if one["role"] == "controller")
    return machine


def slurm_conf(run_spec: RunSpec, facts: SlurmFacts, others: Sequence[str] = ()) -> str:
    """Return ``slurm.conf``, see slurm.conf(5); the values were chosen by measuring Slurm 22.05.

    ``others`` are lines of another profile, which replace those of the same option.
    """
    head = controller(run_spec)
    computes = compute_machines(run_spec)
    lines = [
        f"ClusterName={run_spec['cluster']}",
        f"SlurmctldHost={head['name']}({head['address']})",
        f"SlurmUser={facts.user}",
        "AuthType=auth/munge",
        f"MpiDefault={'pmix' if facts.pmix else 'none'}",
        "ProctrackType=proctrack/linuxproc",  # cgroups would need dbus, which an image need not run
        "TaskPlugin=task/none",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "SlurmdParameters=config_overrides",  # a machine may have fewer processors than its partition promises
        "JobAcctGatherType=jobacct_gather/linux",
        "ReturnToService=2",
        "EnforcePartLimits=ALL",  # a job that asks for too many nodes is refused instead of queued
        "MessageTimeout=60",
        "SlurmdTimeout=60",
        "KillWait=5",
        "MinJobAge=86400",  # finished jobs stay visible to scontrol
        "PropagateResourceLimits=NONE",
        "SchedulerParameters=batch_sched_delay=0,sched_interval=5",
        f"StateSaveLocation={STATE}/slurmctld",
        f"SlurmdSpoolDir={STATE}/slurmd",
        f"SlurmctldPidFile={STATE}/slurmctld/slurmctld.pid",
        f"SlurmdPidFile={STATE}/slurmd/slurmd.pid",
        f"SlurmctldLogFile={LOGS}/slurmctld.log",
        f"SlurmdLogFile={LOGS}/slurmd.log",
        *(["GresTypes=gpu"] if any(machine.get("gpus") for machine in computes) else []),
        *others,
    ]
    last = {option_name(line): number for number, line in enumerate(lines)}
    kept = [line for number, line in enumerate(lines) if not option_name(line) or last[option_name(line)] == number]
    return "\n".join([*kept, *map(node_line, computes), *partition_lines(run_spec)]) + "\n"


def option_name(line: str) -> str:
    """Return the name of the option that a line sets, in lower case; empty for other lines."""
    match = re.match(r"\s*([A-Za-z_.]+)\s*=", line)
    return match[1].lower() if match else ""


def node_line(machine: Mapping[str, Json]) -> str:
    """Return a node's line in ``slurm.conf``."""
    gpus = f" Gres=gpu:{machine['gpus']}" if machine.get("gpus") else ""
    return (
        f"NodeName={machine['name']} NodeAddr={machine['address']} CPUs={machine['cpus']}"
        f" RealMemory={machine['memory_mb']}{gpus} State=UNKNOWN"
    )


def partition_lines(run_spec: RunSpec) -> list[str]:
    """Return the partitions' lines in ``slurm.conf``; the first partition is the default one."""
    partitions: dict[str, list[str]] = {}
    for machine in compute_machines(run_spec):
        partitions.setdefault(machine["partition"], []).append(machine["name"])
    return [
        f"PartitionName={name} Nodes={','.join(nodes)} Default={'NO' if number else 'YES'} MaxTime=INFINITE State=UP"
        for number, (name, nodes) in enumerate(partitions.items())
    ]


def gres_conf(run_spec: RunSpec) -> str:
    """Return ``gres.conf``, which names the GPUs' devices, see gres.conf(5); empty without GPUs."""
    lines = []
    for machine in compute_machines(run_spec):
        last = int(machine.get("gpus") or 0) - 1
        if last >= 0:
            devices = "/dev/nvidia0" if last == 0 else f"/dev/nvidia[0-{last}]"
            lines.append(f"NodeName={machine['name']} Name=gpu File={devices}\n")
    return "".join(lines)


def configuration_folder() -> Path:
    """Return the folder where Slurm looks for its files."""
    return next((folder for folder in CONFIGURATION if folder.is_dir()), CONFIGURATION[0])


def configure_slurm(run_spec: RunSpec, facts: SlurmFacts | None = None, others: Sequence[str] = ()) -> SlurmFacts:
    """Write Slurm's files and make its folders on this machine; return the facts, which may be known already.

    ``others`` are lines of another profile.
    """
    facts = facts or slurm_facts()
    etc = configuration_folder()
    write_file(etc / "slurm.conf", slurm_conf(run_spec, facts, others))
    if facts.version >= (22, 5):
        # Slurm's cgroup plugin would call systemd over dbus, and slurmd ends if it gets no answer.
        write_file(etc / "cgroup.conf", "CgroupPlugin=cgroup/v2\nIgnoreSystemd=yes\n")
    if gres_conf(run_spec):
        write_file(etc / "gres.conf", gres_conf(run_spec))
    os.environ["SLURM_CONF"] = str(etc / "slurm.conf")
    make_folder(STATE, "root")
    make_folder(STATE / "slurmctld", facts.user)
    make_folder(STATE / "slurmd", "root")
    make_folder(LOGS, facts.user)
    return facts
