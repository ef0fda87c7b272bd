"""Power saving in the profile ``production``: a node is suspended, and a job makes Slurm resume it.

Slurm's programs leave a file on the controller for each node, since their user has no access to the shared home. A node
that is to be suspended finds one there, and stops its slurmd. One that is to be resumed is named in the controller's
status, as in an upgrade: the host makes a new machine in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .job_queue import JobQueue
from .machine import Machine
from .slurm_conf import compute_machines
from .system import STATE, RunError, command, make_folder, wait_until, write_file
from .upgrade import node_state

ASKED = STATE / "power"  # the files of Slurm's programs
SUSPEND = "suspend-"  # begins the name of a file in the shared home; a node's name follows
SUSPEND_SECONDS = 10  # that Slurm gives a node to go down
STOP_SECONDS = 60
JOB = "fluid-run-resume.sh"
PROGRAM = """\
#!/bin/sh
for node in $(scontrol show hostnames "$1"); do
  touch "{folder}/{verb}-$node"
done
"""


def slurm_lines(start_seconds: int) -> Iterator[str]:
    """Yield the lines of ``slurm.conf``: the agent suspends nodes, Slurm does not when they are idle."""
    yield f"SuspendProgram={STATE}/suspend"
    yield f"ResumeProgram={STATE}/resume"
    yield "SuspendTime=86400"
    yield f"SuspendTimeout={SUSPEND_SECONDS}"
    yield f"ResumeTimeout={start_seconds}"


def write_programs(user: str) -> None:
    """Write the programs that slurmctld runs on the controller as ``user``, and make the folder for their files."""
    make_folder(ASKED, user)
    for verb in ("suspend", "resume"):
        write_file(STATE / verb, PROGRAM.format(folder=ASKED, verb=verb), 0o755)


def suspend_if_asked(machine: Machine) -> None:
    """Stop slurmd on this node if Slurm suspends it."""
    if (machine.shared / f"{SUSPEND}{machine.me['name']}").exists() and "slurmd" in machine.daemons:
        daemon = machine.daemons.pop("slurmd")
        daemon.terminate()
        daemon.wait(STOP_SECONDS)
        machine.reporter.log("suspended")


def cycle(machine: Machine, workspace: Path) -> None:
    """Suspend a node and start a job on it, which Slurm has to resume it for. Raises RunError.

    A cluster without machines that run jobs only has nothing to suspend.
    """
    nodes = [entry["name"] for entry in compute_machines(machine.run_spec) if entry["role"] == "compute"]
    if not nodes:
        return
    node, seconds = nodes[-1], machine.run_spec["start_seconds"]
    told = machine.shared / f"{SUSPEND}{node}"
    command("scontrol", "update", f"NodeName={node}", "State=POWER_DOWN")
    for _ in wait_until(f"the suspension of {node}", seconds, 1):
        machine.check()
        if (ASKED / f"suspend-{node}").exists() and not told.exists():
            write_file(told, "")
        if told.exists() and "POWERED_DOWN" in node_state(node)[0]:
            break
    queue = resuming_job(machine, workspace, node)
    queue.submit_ready()
    for _ in wait_until(f"the resumption of {node}", seconds, 1):
        machine.check()
        if (ASKED / f"resume-{node}").exists() and told.exists():
            told.unlink()
            machine.reporter.update(reimage=node)
        queue.poll()
        if queue.done_count:
            break
    result = queue.jobs[0].result
    if result["exit_code"]:
        raise RunError(f"the job that {node} was resumed for failed: {result['reason']}", blame="image")
    machine.reporter.log(f"{node} was suspended and resumed")


def resuming_job(machine: Machine, workspace: Path, node: str) -> JobQueue:
    """Return a queue of one job on the node; the recipe's jobs and their results do not change."""
    write_file(workspace / JOB, "#!/bin/bash\nexec srun hostname\n", 0o755)
    spec = {
        "command_group": "power",
        "execution_command": JOB,
        "output_directory": "power",
        "partition": next(one["partition"] for one in compute_machines(machine.run_spec) if one["name"] == node),
        "batch_options": f"--nodes=1 --nodelist={node}",
    }
    run_spec = {**machine.run_spec, "jobs": [spec]}
    return JobQueue(run_spec, workspace, machine.reporter, machine.user, str(machine.home))
