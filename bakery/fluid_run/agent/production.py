"""The profile ``production``: Slurm as sites run it, with control groups, accounting, prolog, epilog and their files.

Only machines of such a cluster load this module. The daemons are the image's own; what the image lacks for them is one
error before any of them starts.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from . import power
from .job_queue import JobQueue
from .jobs import ENDED, sacct_fields, seconds_of
from .machine import Machine
from .slurm_conf import PLUGINS, SlurmFacts, compute_machines, configuration_folder, configure_slurm, controller
from .system import (
    LOGS,
    PROGRAMS,
    STATE,
    RunError,
    command,
    find_program,
    make_folder,
    wait_for_port,
    wait_until,
    write_file,
)
from .wire import RunSpec

CGROUPS = Path("/sys/fs/cgroup")
CONTROLLERS = "cgroup.controllers"  # a file that is there with control groups of version 2, see cgroups(7)
SOCKET = Path("/run/mysqld/mysqld.sock")  # where MariaDB's clients look on Debian
DATABASE = "slurm_acct_db"
PORT = 6819  # of slurmdbd
DATABASE_SECONDS = 300  # to make its tables; an idle computer needs a tenth of that
ACCOUNT_SECONDS = 60  # until slurmdbd has the end of a job: slurmctld tells it within seconds
ACCOUNTING = ("slurmdbd", "sacctmgr", "sacct", "mariadbd", "mariadb-install-db", "exportfs", "rpc.nfsd", "rpc.mountd")
MOUNTING = ("mount.nfs",)
CONTROLLER_PLUGINS = ("accounting_storage_slurmdbd", "accounting_storage_mysql")
NODE_PLUGINS = ("proctrack_cgroup", "task_cgroup", "task_affinity", "cgroup_v2")
CGROUP_CONF = """\
CgroupPlugin=cgroup/v2
IgnoreSystemd=yes
ConstrainCores=yes
ConstrainRAMSpace=yes
ConstrainDevices=yes
"""
SCRIPT = """\
#!/bin/sh
# Runs as root on each node of a job; the script of the site follows.
echo "$(date +%s) job $SLURM_JOB_ID of $SLURM_JOB_USER" >>{log}
{then}
"""


def check_image(machine: Machine, root: Path = Path("/")) -> None:
    """Check that the image has all that this machine needs for the profile. Raises RunError with all that it lacks."""
    head = machine.me["role"] == "controller"
    programs = ACCOUNTING if head else MOUNTING
    plugins = (*(CONTROLLER_PLUGINS if head else ()), *(NODE_PLUGINS if machine.me.get("partition") else ()))
    if head and machine.site.get("job_submit"):
        plugins = (*plugins, "job_submit_lua")
    lacks = [f"the program {name}" for name in programs if shutil.which(name, path=PROGRAMS) is None]
    lacks += [f"Slurm's plugin {name}" for name in plugins if not has_plugin(name, root)]
    if machine.me.get("partition") and not (CGROUPS / CONTROLLERS).exists():
        lacks.append("control groups of version 2")
    if lacks:
        raise RunError(
            f"{machine.me['name']}: the image lacks what the profile production needs: {', '.join(lacks)};"
            " install it in the recipe, or write profile: simple for its cluster",
            blame="image",
        )


def has_plugin(name: str, root: Path) -> bool:
    """Return whether Slurm has a plugin."""
    return any(True for folder in PLUGINS for _ in root.glob(f"{folder}/{name}.so"))


def slurm_lines(run_spec: RunSpec, site: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines of ``slurm.conf`` that replace those of the profile ``simple``, the site's own last."""
    head = controller(run_spec)["name"]
    yield "ProctrackType=proctrack/cgroup"
    yield "TaskPlugin=task/affinity,task/cgroup"
    yield "SelectTypeParameters=CR_CPU_Memory"
    yield f"DefMemPerCPU={min(one['memory_mb'] // one['cpus'] for one in compute_machines(run_spec))}"
    yield "JobAcctGatherType=jobacct_gather/cgroup"
    yield "AccountingStorageType=accounting_storage/slurmdbd"
    yield f"AccountingStorageHost={head}"
    yield "PrologFlags=Contain"
    yield f"Prolog={STATE}/prolog"
    yield f"Epilog={STATE}/epilog"
    yield "PrologEpilogTimeout=300"
    yield from power.slurm_lines(run_spec["start_seconds"])
    if site.get("job_submit"):
        yield "JobSubmitPlugins=lua"
    yield from site.get("slurm_conf", "").splitlines()


def configure(machine: Machine) -> SlurmFacts:
    """Write Slurm's files of the profile and make its folders on this machine; return the facts about the image."""
    enable_controllers(CGROUPS)
    facts = configure_slurm(machine.run_spec, machine.facts, [*slurm_lines(machine.run_spec, machine.site)])
    write_files(machine.site, configuration_folder())
    return facts


def enable_controllers(root: Path) -> None:
    """Let slurmd limit cores and memory in the slice of services, where it makes its groups.

    Slurm before 23.02 has no option for that, and expects them of systemd.
    """
    for group in (root, root / "system.slice"):
        if (group / CONTROLLERS).exists():
            (group / "cgroup.subtree_control").write_text("+cpuset +cpu +memory", encoding="ascii")


def write_files(site: Mapping[str, str], etc: Path) -> None:
    """Write the files next to ``slurm.conf``: control groups, job submit script, prolog and epilog."""
    write_file(etc / "cgroup.conf", CGROUP_CONF)
    if site.get("job_submit"):
        write_file(etc / "job_submit.lua", site["job_submit"])
    for name in ("prolog", "epilog"):
        own = STATE / f"site-{name}"
        then = f"exec {own}" if site.get(name) else "exit 0"
        write_file(STATE / name, SCRIPT.format(log=LOGS / f"{name}.log", then=then), 0o755)
        if site.get(name):
            write_file(own, site[name], 0o755)


def prepare_controller(machine: Machine, facts: SlurmFacts) -> None:
    """Start the accounting on the controller, and write what slurmctld calls."""
    power.write_programs(facts.user)
    start_accounting(machine, facts)


def start_accounting(machine: Machine, facts: SlurmFacts) -> None:
    """Start a database and slurmdbd on the controller, and make the cluster and the user known to it."""
    password = secrets.token_hex(16)
    start_database(machine, password)
    head = controller(machine.run_spec)
    lines = (
        "AuthType=auth/munge",
        f"DbdHost={head['name']}",
        f"SlurmUser={facts.user}",
        "StorageType=accounting_storage/mysql",
        "StorageHost=localhost",
        f"StorageLoc={DATABASE}",
        "StorageUser=slurm",
        f"StoragePass={password}",
        f"PidFile={STATE}/slurmctld/slurmdbd.pid",
        f"LogFile={LOGS}/slurmdbd.log",
    )
    write_file(configuration_folder() / "slurmdbd.conf", "\n".join(lines) + "\n", 0o600, facts.user)
    machine.start("slurmdbd", find_program("slurmdbd"), "-D", user=facts.user)
    wait_for_port(head["address"], PORT, DATABASE_SECONDS, machine.check_daemons)
    cluster, user = machine.run_spec["cluster"], machine.user
    add("cluster", cluster)
    add("account", user, f"cluster={cluster}")
    add("user", user, f"account={user}", f"cluster={cluster}")


def add(*words: str) -> None:
    """Add something to the accounting. Raises RunError, also of a ``slurm.conf`` that Slurm does not take."""
    try:
        command("sacctmgr", "--immediate", "add", *words)
    except RunError as error:
        raise RunError(str(error), blame="image") from error


def start_database(machine: Machine, password: str) -> None:
    """Start MariaDB with new tables and the user ``slurm``, whose password is known to this run only."""
    data, sql = STATE / "mysql", STATE / "accounting.sql"
    make_folder(data, "mysql", 0o700)
    make_folder(SOCKET.parent, "mysql")
    options = ("--user=mysql", f"--datadir={data}")
    command(find_program("mariadb-install-db"), *options, "--skip-test-db", "--auth-root-authentication-method=socket")
    statements = (
        f"CREATE DATABASE {DATABASE};",
        f"CREATE USER 'slurm'@'localhost' IDENTIFIED BY '{password}';",
        f"GRANT ALL ON {DATABASE}.* TO 'slurm'@'localhost';",
    )
    write_file(sql, "\n".join(statements) + "\n", 0o400, "mysql")
    server = ("--skip-networking", f"--socket={SOCKET}", f"--pid-file={data}/mariadbd.pid", f"--init-file={sql}")
    machine.start("mariadbd", find_program("mariadbd"), *options, *server, user="mysql")
    for _ in wait_until("an answer of mariadbd", DATABASE_SECONDS):
        machine.check_daemons()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as answer:
            answer.connect(str(SOCKET))
            return


def end(machine: Machine, queue: JobQueue) -> None:
    """Do what follows the jobs on the controller: take their accounts, suspend and resume a node. Raises RunError."""
    take_accounts(queue)
    if not machine.run_spec.get("upgrade"):
        power.cycle(machine, queue.workspace)


def take_accounts(queue: JobQueue) -> None:
    """Replace what scontrol said of the jobs by what the accounting says. Raises RunError if it lacks one."""
    for job in queue.jobs:
        if not job.number:
            continue
        for _ in wait_until(f"the record of job {job.number} in the accounting", ACCOUNT_SECONDS, 1):
            fields = sacct_fields(job.number)
            if fields.get("JobState") in ENDED:
                break
        job.result.update(
            runtime=seconds_of(fields["RunTime"]),
            node_count=int(fields["NumNodes"]),
            allocated_cpus=int(fields["NumCPUs"]),
            nodes=fields["NodeList"],
        )
    queue.reporter.log("the accounting has all jobs")
