"""The agent's pure parts: Slurm's configuration, job records, status records, memory."""

from __future__ import annotations

import ast
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from bakery.fluid_run.agent import (
    jobs,
    join,
    machine,
    mailbox,
    memory,
    results,
    roles,
    slurm_conf,
    system,
    wire,
)
from bakery.fluid_run.agent.__main__ import run_and_report
from bakery.fluid_run.agent.job_queue import JobQueue
from bakery.fluid_run.agent.machine import Machine
from bakery.fluid_run.agent.mailbox import FolderMailbox, Reporter
from bakery.fluid_run.agent.system import RunError
from bakery.fluid_run.clusters.seed import AGENT, write_seed

RUN_SPEC: dict[str, Any] = {
    "cluster": "fr0123456789",
    "machines": [
        {
            "name": "controller",
            "role": "controller",
            "address": "10.77.0.10",
            "cpus": 1,
            "memory_mb": 768,
            "partition": "",
        },
        {"name": "login-0", "role": "login", "address": "10.77.0.11", "cpus": 1, "memory_mb": 512, "partition": ""},
        {"name": "big-0", "role": "compute", "address": "10.77.0.12", "cpus": 4, "memory_mb": 2048, "partition": "big"},
        {"name": "big-1", "role": "compute", "address": "10.77.0.13", "cpus": 4, "memory_mb": 2048, "partition": "big"},
        {"name": "one-0", "role": "compute", "address": "10.77.0.14", "cpus": 1, "memory_mb": 512, "partition": "one"},
    ],
}
GOLDEN_TAIL = """\
NodeName=big-0 NodeAddr=10.77.0.12 CPUs=4 RealMemory=2048 State=UNKNOWN
NodeName=big-1 NodeAddr=10.77.0.13 CPUs=4 RealMemory=2048 State=UNKNOWN
NodeName=one-0 NodeAddr=10.77.0.14 CPUs=1 RealMemory=512 State=UNKNOWN
PartitionName=big Nodes=big-0,big-1 Default=YES MaxTime=INFINITE State=UP
PartitionName=one Nodes=one-0 Default=NO MaxTime=INFINITE State=UP
"""
RUNNING = (
    "JobId=7 JobName=run.sh UserId=fluidrun(20077) JobState=RUNNING Reason=None Dependency=(null) ExitCode=0:0"
    " RunTime=1-00:00:05 NumNodes=2 NumCPUs=8 NodeList=big-[0-1] Command=/w/run.sh a b WorkDir=/w Comment=a=b c"
)


def test_slurm_conf_names_controller_nodes_and_partitions() -> None:
    text = slurm_conf.slurm_conf(RUN_SPEC, slurm_conf.SlurmFacts((22, 5), "slurm", True))
    assert text.startswith("ClusterName=fr0123456789\nSlurmctldHost=controller(10.77.0.10)\nSlurmUser=slurm\n")
    assert text.endswith(GOLDEN_TAIL)
    assert "MpiDefault=pmix\n" in text
    assert len({line.split("=")[0] for line in text.splitlines() if not line.startswith(("Node", "Part"))}) == 25


def test_without_pmix_ranks_start_without_it() -> None:
    assert "MpiDefault=none\n" in slurm_conf.slurm_conf(RUN_SPEC, slurm_conf.SlurmFacts((20, 11), "root", False))


def test_gpus_are_told_to_slurm() -> None:
    machines = [{**machine, "gpus": 2 if machine["partition"] == "big" else 0} for machine in RUN_SPEC["machines"]]
    run_spec = {**RUN_SPEC, "machines": [*machines[:-1], {**machines[-1], "gpus": 1}]}
    text = slurm_conf.slurm_conf(run_spec, slurm_conf.SlurmFacts((22, 5), "slurm", True))
    assert "GresTypes=gpu\nNodeName=big-0 " in text
    assert "CPUs=4 RealMemory=2048 Gres=gpu:2 State=UNKNOWN\n" in text
    assert slurm_conf.gres_conf(run_spec).splitlines() == [
        "NodeName=big-0 Name=gpu File=/dev/nvidia[0-1]",
        "NodeName=big-1 Name=gpu File=/dev/nvidia[0-1]",
        "NodeName=one-0 Name=gpu File=/dev/nvidia0",
    ]
    assert slurm_conf.gres_conf(RUN_SPEC) == ""
    assert "Gres" not in slurm_conf.slurm_conf(RUN_SPEC, slurm_conf.SlurmFacts((22, 5), "slurm", True))


def test_hosts_has_every_machine() -> None:
    assert "10.77.0.14 one-0\n" in join.hosts_file(RUN_SPEC)


def test_the_metadata_server_keeps_its_name() -> None:
    before = "127.0.1.1 old\n169.254.169.254 metadata.google.internal metadata\n"
    found = join.hosts_file(RUN_SPEC, before).splitlines()
    assert "169.254.169.254 metadata.google.internal metadata" in found
    assert not any("old" in entry for entry in found)


def test_a_job_record_is_read() -> None:
    fields = jobs.parse_jobs(RUNNING + "\nJobId=8 JobState=PENDING\n\n")
    assert set(fields) == {"7", "8"}
    seven = fields["7"]
    assert (seven["JobState"], seven["ExitCode"], seven["NodeList"]) == ("RUNNING", "0:0", "big-[0-1]")
    assert jobs.seconds_of(seven["RunTime"]) == 86405.0


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:00", 0), ("01:02:03", 3723), ("2-00:00:01", 172801), ("Invalid", 0)]
)
def test_run_times(text: str, seconds: float) -> None:
    assert jobs.seconds_of(text) == seconds


@pytest.mark.parametrize(
    ("state", "code", "number"),
    [
        ("COMPLETED", "0:0", 0),
        ("FAILED", "3:0", 3),
        ("FAILED", "0:9", 137),
        ("TIMEOUT", "0:15", 124),
        ("TIMEOUT", "0:0", 124),
        ("NODE_FAIL", "0:0", 999),
        ("CANCELLED", "", 999),
    ],
)
def test_only_completed_with_zero_is_zero(state: str, code: str, number: int) -> None:
    assert jobs.exit_code(state, code) == number


def test_slurm_is_asked_for_its_nodes_when_a_machine_has_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes join after 3 and 5 looks, are idle after 9, and a login machine joins after 7."""
    looks = {"one-0": 3, "one-1": 5, "login-0": 7}
    asked: list[int] = []
    count = 0

    def sleep(_seconds: float) -> None:
        nonlocal count
        count += 1

    def sinfo(*_words: str, check: bool) -> str:
        asked.append(count)
        return "".join(f"{name} {'idle' if count >= 9 else 'down'}\n" for name in ("one-0", "one-1"))

    monkeypatch.setattr(roles.time, "sleep", sleep)
    monkeypatch.setattr(roles, "command", sinfo)
    entries = [{"name": "controller", "role": "controller"}, {"name": "login-0", "role": "login"}]
    entries += [{"name": f"one-{number}", "role": "compute", "partition": "one"} for number in range(2)]
    run_spec = {"machines": entries, "start_seconds": 60, "user": {"name": "u", "uid": 1}}
    machine = Machine(run_spec, "controller", Reporter(FolderMailbox(tmp_path), "controller", tmp_path / "logs"))
    monkeypatch.setattr(machine, "check", lambda: None)
    monkeypatch.setattr(machine, "is_ready", lambda name: count >= looks[name])
    roles.wait_for_nodes(machine)
    assert asked == [0, 3, 5, 7, 8, 9]
    assert (machine.reporter.status["nodes_ready"], machine.reporter.status["nodes_total"]) == (3, 3)


def test_only_idle_nodes_are_ready() -> None:
    assert roles.idle_nodes("big-0 idle\nbig-1 idle*\none-0 down\nbig-0 idle\n") == {"big-0"}


def test_a_torn_status_is_passed_over() -> None:
    whole = wire.record(4, {"stage": "run"})
    assert wire.read_record(whole.ljust(4096)) == (4, {"stage": "run"})
    assert wire.read_record(whole[:-3].ljust(4096)) is None
    assert wire.read_record(b"\0" * 4096) is None


def test_the_newest_status_wins_and_the_other_slot_stays_whole(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(b"\0" * (wire.RESULTS_AT + 4096))
    mailbox_of_run = mailbox.DiskMailbox(disk)
    for number in range(3):
        mailbox_of_run.send_status({"number": number})
    slots = [wire.read_record(disk.read_bytes()[at : at + wire.SLOT]) for at in (0, wire.SLOT)]
    assert sorted(slot[1]["number"] for slot in slots if slot) == [1, 2]


def test_results_are_a_tar_even_when_a_file_is_gone() -> None:
    sink = io.BytesIO()
    mailbox.write_tar(sink, [("a", b"1"), ("gone", Path("/does/not/exist"))])
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        assert tar.getnames() == ["a", "gone"]


def process(proc: Path, pid: int, job: str, rss: int, peak: int) -> None:
    place = proc / str(pid)
    place.mkdir(parents=True, exist_ok=True)
    (place / "environ").write_bytes(f"A=1\0SLURM_JOB_ID={job}\0".encode() if job else b"A=1\0")
    (place / "status").write_text(f"Name:\tx\nVmHWM:\t{peak} kB\nVmRSS:\t{rss} kB\n")


def test_memory_is_the_largest_sum_and_at_least_the_largest_peak(tmp_path: Path) -> None:
    process(tmp_path, 10, "7", 100, 150)
    process(tmp_path, 11, "7", 200, 900)
    process(tmp_path, 12, "8", 50, 60)
    process(tmp_path, 13, "", 5000, 5000)
    watch = memory.MemoryWatch(os.getuid(), tmp_path)
    assert watch.look()
    assert watch.peaks == {"7": 900, "8": 60}
    process(tmp_path, 10, "7", 800, 800)
    assert watch.look()
    assert watch.peaks["7"] == 1000
    assert not watch.look()


def test_memory_of_others_is_not_looked_at(tmp_path: Path) -> None:
    process(tmp_path, 10, "7", 100, 150)
    assert not memory.MemoryWatch(os.getuid() + 1, tmp_path).look()


def test_the_largest_machine_counts(tmp_path: Path) -> None:
    (tmp_path / "memory-a.json").write_text(json.dumps({"7": 1024**2}))
    (tmp_path / "memory-b.json").write_text(json.dumps({"7": 2 * 1024**2}))
    assert memory.memory_gb(tmp_path, "7") == 2.0
    assert memory.memory_gb(tmp_path, "8") is None


def test_outputs_are_new_files_only_and_large_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FILE_LIMIT", 10)
    out = tmp_path / "out"
    out.mkdir()
    (out / "old").write_text("old")
    staged = {str(out / "old"): results.stamp(out / "old")}
    (out / "new").write_text("new")
    (out / "large").write_text("x" * 11)
    (tmp_path / "elsewhere").write_text("no job's")
    taken, left = results.new_outputs(tmp_path, ["out"], staged)
    assert (taken, left) == ([out / "new"], ["out/large (11 bytes)"])


def test_of_a_large_stdout_the_end_is_brought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "FILE_LIMIT", 10)
    out = tmp_path / "out"
    out.mkdir()
    (out / "stdout").write_text("beginning rate: 8")
    taken, left = results.new_outputs(tmp_path, ["out"], {})
    assert (taken, left) == ([out / "stdout"], ["the beginning of out/stdout (17 bytes)"])
    sink = io.BytesIO()
    mailbox.write_tar(sink, [("stdout", taken[0])])
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as tar:
        member = tar.extractfile("stdout")
        assert member is not None and member.read() == b"ng rate: 8"


def test_a_file_that_goes_while_it_is_looked_at_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept").touch()
    (tmp_path / "gone").touch()
    stamp = results.stamp

    def raced(path: Path) -> tuple[int, int]:
        if path.name == "gone":
            path.unlink(missing_ok=True)
        return stamp(path)

    monkeypatch.setattr(results, "stamp", raced)
    assert results.new_outputs(tmp_path, ["."], {}) == ([tmp_path / "kept"], [])


class KeptMailbox:
    """Keeps the last status and the names of the results."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}
        self.names: list[str] = []

    def send_status(self, content: Mapping[str, Any]) -> None:
        self.said = dict(content)

    def send_results(self, members: Iterable[tuple[str, Path | bytes]]) -> None:
        self.names = [name for name, _ in members]


def joined(tmp_path: Path, name: str) -> tuple[machine.Machine, KeptMailbox]:
    """A machine of the cluster whose shared home is ``tmp_path``."""
    mailbox_of_run = KeptMailbox()
    run_spec = {**RUN_SPEC, "user": {"name": "nobody", "uid": os.getuid()}, "start_seconds": 1, "jobs": []}
    made = machine.Machine(run_spec, name, Reporter(mailbox_of_run, name, tmp_path / f"logs-{name}"))
    made.home, made.shared = tmp_path, tmp_path / machine.SHARED
    made.shared.mkdir(exist_ok=True)
    return made, mailbox_of_run


def test_a_machine_that_breaks_tells_the_controller_which_brings_back_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (node, _), (head, mailbox_of_run) = joined(tmp_path, "big-0"), joined(tmp_path, "controller")
    monkeypatch.setattr(machine, "REPORT_SECONDS", 0.0)
    monkeypatch.setattr(roles, "wait_for_nodes", lambda _machine: None)
    monkeypatch.setattr(results, "stage_workspace", lambda *_: {})

    def follow(_queue: JobQueue, check: Callable[[], None]) -> None:
        check()
        node.report_failure(RunError("slurmd on big-0 ended with -9", "image"))
        check()

    monkeypatch.setattr(JobQueue, "follow", follow)
    run_and_report(head.reporter, lambda: roles.run_controller(head, tmp_path))
    assert (mailbox_of_run.said["error"], mailbox_of_run.said["blame"]) == ("slurmd on big-0 ended with -9", "image")
    assert {wire.RESULTS_NAME, "logs/agent.log"} <= set(mailbox_of_run.names)
    assert (head.shared / "ended").exists(), "the machine that broke waits for that"


def test_a_log_on_a_full_disk_ends_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reporter = Reporter(KeptMailbox(), "controller", tmp_path)
    (tmp_path / "agent.log").symlink_to("/dev/full")
    reporter.log("still here")
    assert "still here" in capsys.readouterr().out


def test_it_needs_only_the_standard_library_of_python_3_9() -> None:
    modules = sorted(AGENT.glob("*.py"))
    assert len(modules) > 10
    for module in modules:
        imports = list(ast.walk(ast.parse(module.read_text(), feature_version=(3, 9))))
        names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
        names |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom) and not node.level}
        assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names, module
        own = {node.module for node in imports if isinstance(node, ast.ImportFrom) and node.level} - {None}
        assert [name for name in own if not (AGENT / f"{name}.py").is_file()] == [], module


def test_the_seed_holds_the_agent_which_starts_where_the_bakery_is_not(tmp_path: Path) -> None:
    workspace, seed = tmp_path / "workspace", tmp_path / "seed"
    for folder in (workspace / "t", seed):
        folder.mkdir(parents=True)
    (workspace / "t/run.sh").write_text("echo\n")
    files = [tmp_path / "seed.tar", tmp_path / "again.tar"]
    for file in files:
        with file.open("wb") as sink:
            write_seed(sink, {"version": 1}, workspace)
    assert files[0].read_bytes() == files[1].read_bytes()
    with tarfile.open(files[0]) as tar:
        assert {(entry.uid, entry.gid, entry.uname) for entry in tar} == {(0, 0, "")}
        names = tar.getnames()
    assert {"agent/__main__.py", "agent/wire.py", "run_spec.json", "workspace/t/run.sh"} <= set(names)
    assert not any("__pycache__" in name for name in names)
    subprocess.run(["tar", "-xf", files[0], "-C", seed], check=True)
    words = [sys.executable, "-E", "-s", "-m", "agent", "--help"]
    done = subprocess.run(words, cwd=seed, capture_output=True, text=True, check=True)
    assert "--run-spec" in done.stdout


def test_the_agent_leaves_the_unit_that_systemd_would_end_with_a_job_out_of_memory(tmp_path: Path) -> None:
    system.leave_unit(tmp_path)
    assert (tmp_path / "fluid-run/cgroup.procs").read_text() == str(os.getpid())
    system.leave_unit(tmp_path / "of/version/1")
