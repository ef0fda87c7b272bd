"""The agent's part of an upgrade, against a small model of Slurm's nodes and of the host."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.fluid_run.agent import join
from bakery.fluid_run.agent.job_queue import JobQueue
from bakery.fluid_run.agent.machine import Machine
from bakery.fluid_run.agent.mailbox import Reporter
from bakery.fluid_run.agent.slurm_conf import SlurmFacts
from bakery.fluid_run.agent.system import RunError
from bakery.fluid_run.agent.upgrade import Upgrade

NODES = ("debug-0", "debug-1")
DIRECTORIES = (*(f"upgrade/through-{node}" for node in NODES), "upgrade/queued-debug-0", "upgrade/after-debug")


class Silent:
    """Takes no mail."""

    def send_status(self, content: Any) -> None: ...

    def send_results(self, members: Any) -> None: ...


@dataclass
class Slurm:
    """Two nodes, and all that was done to them."""

    states: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NODES, "ALLOCATED"))
    began: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NODES, "2026-01-01T00:00:00"))
    done: list[str] = field(default_factory=list)

    def command(self, *words: str, check: bool = True) -> str:
        if words[1:3] == ("--oneliner", "show"):
            node = words[-1]
            return f"NodeName={node} CoresPerSocket=1 State={self.states[node]} SlurmdStartTime={self.began[node]} X="
        self.done.append(" ".join(words[1:]))
        if words[1] == "update":
            node = words[2].removeprefix("NodeName=")
            self.states[node] = "ALLOCATED+DRAIN" if words[3] == "State=DRAIN" else "IDLE"
        return ""


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    made = Slurm()
    monkeypatch.setattr("bakery.fluid_run.agent.upgrade.command", made.command)
    return made


@pytest.fixture
def queue(tmp_path: Path) -> JobQueue:
    """The jobs; those that run through run."""
    jobs = [{"command_group": "upgrade", "execution_command": "x", "output_directory": one} for one in DIRECTORIES]
    machines = [{"name": "controller", "role": "controller", "address": "10.0.0.2"}]
    spec = {"jobs": jobs, "machines": machines, "user": {"name": "u", "uid": 1}, "start_seconds": 600}
    made = JobQueue(spec, tmp_path / "ws", Reporter(Silent(), "controller", tmp_path / "logs"))
    for number, job in enumerate(made.jobs, 1):
        job.number = str(number)
        job.result["state"] = "RUNNING" if number < 3 else "PENDING"
    return made


@pytest.fixture
def made(queue: JobQueue, tmp_path: Path) -> Upgrade:
    machine = Machine(queue.run_spec, "controller", queue.reporter)
    machine.shared = tmp_path / "shared"
    return Upgrade(machine, queue)


def asked(made: Upgrade) -> object:
    return made.machine.reporter.status.get("reimage")


def test_nodes_are_drained_replaced_and_resumed_one_after_the_other(
    slurm: Slurm, queue: JobQueue, made: Upgrade
) -> None:
    for number, node in enumerate(NODES):
        made.check()
        assert slurm.done[-1] == f"update NodeName={node} State=DRAIN Reason=upgrade"
        assert (queue.folder(queue.jobs[number]) / "release").exists(), "the job of the node may end"
        assert asked(made) == (NODES[number - 1] if number else None), "its job still runs"
        queue.jobs[number].done = True
        made.check()
        assert asked(made) != node, "the node still completes it"
        slurm.states[node] = "IDLE+DRAIN"
        made.check()
        assert asked(made) == node
        slurm.states[node] = "DOWN*+DRAIN"
        made.check()
        slurm.states[node] = "IDLE+DRAIN"
        made.check()
        assert not slurm.done[-1].endswith("RESUME"), "the old slurmd, before it was ended"
        slurm.began[node] = "2026-01-01T00:01:00"
        slurm.states[node] = "IDLE*+DRAIN"
        made.check()
        assert not slurm.done[-1].endswith("RESUME"), "the node does not answer yet"
        slurm.states[node] = "IDLE+DRAIN"
    made.check()
    assert slurm.done[-1] == "release 4"
    assert [text for text in slurm.done if "RESUME" in text] == [
        f"update NodeName={node} State=RESUME" for node in NODES
    ]
    made.check()


def test_nothing_is_drained_before_each_node_has_a_job(slurm: Slurm, queue: JobQueue, made: Upgrade) -> None:
    queue.jobs[1].result["state"] = "PENDING"
    made.check()
    assert slurm.done == []


@pytest.mark.parametrize("fate", [{"restarts": 1}, {"state": "NODE_FAIL"}])
def test_a_lost_job_ends_the_upgrade(slurm: Slurm, queue: JobQueue, made: Upgrade, fate: dict[str, Any]) -> None:
    queue.jobs[1].result.update(fate)
    with pytest.raises(RunError, match="job 2 was lost") as lost:
        made.check()
    assert lost.value.blame == "image"


@pytest.mark.parametrize(
    "late",
    [
        ("ALLOCATED+DRAIN", "the end of all jobs on debug-0", "infrastructure"),
        ("IDLE+DRAIN", "the return of debug-0 with the new image", "image"),
    ],
)
def test_a_node_has_as_long_as_a_cluster_to_start(
    slurm: Slurm, queue: JobQueue, made: Upgrade, monkeypatch: pytest.MonkeyPatch, late: tuple[str, str, str]
) -> None:
    state, what, blame = late
    now = [0.0]
    monkeypatch.setattr("bakery.fluid_run.agent.upgrade.time", SimpleNamespace(monotonic=lambda: now[0]))
    made.check()
    queue.jobs[0].done, slurm.states["debug-0"] = True, state
    made.check()
    now[0] = 600.0
    made.check()
    now[0] = 601.0
    with pytest.raises(RunError, match=f"{what} did not happen within 600 s") as stuck:
        made.check()
    assert stuck.value.blame == blame


def test_a_node_tells_that_the_controller_would_refuse_it(made: Upgrade, monkeypatch: pytest.MonkeyPatch) -> None:
    made.machine.shared.mkdir()
    (made.machine.shared / join.VERSION).write_text(json.dumps([22, 5]))
    join.check_version(made.machine, SlurmFacts((22, 5), "slurm", pmix=True))
    join.check_version(made.machine, SlurmFacts((21, 8), "slurm", pmix=True))
    with pytest.raises(RunError, match=r"Slurm 23\.02 on controller is newer than 22\.05 on the controller") as newer:
        join.check_version(made.machine, SlurmFacts((23, 2), "slurm", pmix=True))
    assert newer.value.blame == "image"


def test_a_job_keeps_its_node_and_its_restarts(queue: JobQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = iter(
        (
            "JobId=1 JobState=RUNNING Requeue=1 Restarts=0 NodeList=debug-0\n",
            "JobId=1 JobState=PENDING Requeue=1 Restarts=1 NodeList=(null)\n",
        )
    )
    monkeypatch.setattr("bakery.fluid_run.agent.job_queue.command", lambda *_words, check=True: next(lines))
    for job in queue.jobs[1:]:
        job.done = True
    queue.user = "u"
    queue.poll()
    queue.poll()
    result = queue.jobs[0].result
    assert (result["state"], result["restarts"], result["nodes"]) == ("PENDING", 1, "debug-0")
