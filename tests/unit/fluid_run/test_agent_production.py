"""The profile production: Slurm's configuration, the site's files, what an image lacks, and the accounting."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bakery.fluid_run.agent import join, power, production, slurm_conf, system
from bakery.fluid_run.agent.job_queue import JobQueue
from bakery.fluid_run.agent.machine import Machine
from bakery.fluid_run.agent.mailbox import FolderMailbox, Reporter
from bakery.fluid_run.agent.system import RunError
from tests.unit.fluid_run.test_agent import GOLDEN_TAIL, RUN_SPEC

FACTS = slurm_conf.SlurmFacts((22, 5), "slurm", True)
SITE = {"slurm_conf": "# ours\nPriorityType=priority/multifactor\nmaxjobcount=9\nPROLOGFLAGS=Alloc\n"}


def options(text: str) -> dict[str, str]:
    pairs = [(line.split("=", 1)[0], line.split("=", 1)[1]) for line in text.splitlines() if "=" in line]
    names = [name for name, _ in pairs if name not in ("NodeName", "PartitionName")]
    assert len({name.lower() for name in names}) == len(names), "Slurm logs an error for an option that is set twice"
    return dict(pairs)


def conf(site: dict[str, str]) -> str:
    run_spec = {**RUN_SPEC, "start_seconds": 600}
    return slurm_conf.slurm_conf(run_spec, FACTS, [*production.slurm_lines(run_spec, site)])


def machine(folder: Path, name: str = "controller", **more: Any) -> Machine:
    run_spec = {**RUN_SPEC, "profile": "production", "user": {"name": "u", "uid": 1}, "start_seconds": 1, **more}
    return Machine(run_spec, name, Reporter(FolderMailbox(folder / "out"), name, folder / "logs"), folder)


def test_slurm_runs_as_on_sites() -> None:
    found = options(conf({}))
    wanted = {
        "ProctrackType": "proctrack/cgroup",
        "TaskPlugin": "task/affinity,task/cgroup",
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "controller",
        "Prolog": "/var/lib/fluid-run/prolog",
        "DefMemPerCPU": "512",  # the least that a node has for each processor
        "ResumeProgram": "/var/lib/fluid-run/resume",
        "SlurmctldHost": "controller(10.77.0.10)",
    }
    assert wanted.items() <= found.items()
    assert conf({}).endswith(GOLDEN_TAIL)
    assert "JobSubmitPlugins" not in found


def test_options_of_the_site_replace_those_of_the_profile() -> None:
    found = options(conf({**SITE, "job_submit": "x"}))
    assert found["PriorityType"] == "priority/multifactor"
    assert (found["maxjobcount"], found["PROLOGFLAGS"], found["JobSubmitPlugins"]) == ("9", "Alloc", "lua")
    assert "PrologFlags" not in found
    assert conf(SITE).endswith(GOLDEN_TAIL)


def test_without_the_profile_nothing_is_different() -> None:
    assert options(slurm_conf.slurm_conf(RUN_SPEC, FACTS))["ProctrackType"] == "proctrack/linuxproc"


def test_the_site_files_are_read_from_the_workspace(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text("A=1\n")
    assert machine(tmp_path, site={"slurm_conf": "site.conf"}).site == {"slurm_conf": "A=1\n"}


def test_scripts_of_the_site_follow_the_own_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "STATE", tmp_path)
    monkeypatch.setattr(production, "LOGS", tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_JOB_USER", "ann")
    site = {"prolog": f"#!/bin/sh\necho site >>{tmp_path}/site.log\nexit 3\n", "job_submit": "-- lua"}
    production.write_files(site, tmp_path / "etc")
    assert os.system(tmp_path / "prolog") >> 8 == 3, "its exit code counts"
    assert os.system(tmp_path / "epilog") == 0
    assert (tmp_path / "prolog.log").read_text().split()[1:] == ["job", "7", "of", "ann"]
    assert (tmp_path / "epilog.log").read_text().split()[1:] == ["job", "7", "of", "ann"]
    assert (tmp_path / "site.log").read_text() == "site\n"
    assert (tmp_path / "etc/job_submit.lua").read_text() == "-- lua"
    assert "CgroupPlugin=cgroup/v2\n" in (tmp_path / "etc/cgroup.conf").read_text()


def equip(root: Path, programs: tuple[str, ...], plugins: tuple[str, ...]) -> None:
    for name in programs:
        program = root / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.touch(stat.S_IRWXU)
    for name in plugins:
        plugin = root / "usr/lib64/slurm" / f"{name}.so"
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.touch()


def test_an_image_that_lacks_something_is_told_all_of_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(production, "PROGRAMS", str(tmp_path / "bin"))
    monkeypatch.setattr(production, "CGROUPS", tmp_path)
    (tmp_path / "job.lua").write_text("x")
    head = machine(tmp_path, site={"job_submit": "job.lua"})
    node = machine(tmp_path, "big-0")
    equip(tmp_path, production.ACCOUNTING[1:], production.CONTROLLER_PLUGINS)
    with pytest.raises(RunError) as lacks:
        production.check_image(head, tmp_path)
    assert str(lacks.value) == (
        "controller: the image lacks what the profile production needs: the program slurmdbd, Slurm's plugin"
        " job_submit_lua; install it in the recipe, or write profile: simple for its cluster"
    )
    assert lacks.value.blame == "image"
    with pytest.raises(RunError, match=r"mount\.nfs, Slurm's plugin proctrack_cgroup, .* control groups of version 2;"):
        production.check_image(node, tmp_path)
    equip(tmp_path, ("slurmdbd", "mount.nfs"), ("job_submit_lua", *production.NODE_PLUGINS))
    (tmp_path / "cgroup.controllers").touch()
    production.check_image(head, tmp_path)
    production.check_image(node, tmp_path)


def test_cores_and_memory_can_be_limited_in_the_slice_of_services(tmp_path: Path) -> None:
    for group in (tmp_path, tmp_path / "system.slice"):
        system.write_file(group / "cgroup.controllers", "cpuset cpu io memory\n")
    production.enable_controllers(tmp_path)
    for group in (tmp_path, tmp_path / "system.slice"):
        assert (group / "cgroup.subtree_control").read_text() == "+cpuset +cpu +memory"
    production.enable_controllers(tmp_path / "none")
    assert not (tmp_path / "none").exists(), "with control groups of version 1"


def test_home_and_apps_are_shared(tmp_path: Path) -> None:
    assert join.shared_folders(machine(tmp_path)) == (Path("/home"), Path("/apps"))
    assert join.shared_folders(machine(tmp_path, profile="simple")) == (Path("/home/u"),)


SACCT = """#!{python}
import pathlib, sys
count = pathlib.Path(__file__).with_name("asked")
count.write_text(count.read_text() + "." if count.exists() else ".")
state = "RUNNING" if len(count.read_text()) < {looks} else "CANCELLED by 0"
if "-X" in sys.argv:
    print(state + "|0:0|00:01:05|2|8|big-[0-1]|big|x|y")
"""


def queue(folder: Path, monkeypatch: pytest.MonkeyPatch, looks: int) -> JobQueue:
    monkeypatch.setenv("PATH", str(folder / "bin"), prepend=os.pathsep)
    monkeypatch.setattr(system.time, "sleep", lambda _seconds: None)
    equip(folder, ("sacct",), ())
    (folder / "bin/sacct").write_text(SACCT.format(python=sys.executable, looks=looks))
    reporter = Reporter(FolderMailbox(folder / "out"), "controller", folder / "logs")
    made = JobQueue({"jobs": [{"output_directory": "a"}, {"output_directory": "b"}]}, folder, reporter, "u")
    made.jobs[0].number = "4"
    return made


def test_results_are_those_of_the_accounting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = queue(tmp_path, monkeypatch, looks=3)
    production.take_accounts(made)
    result = made.jobs[0].result
    assert {key: result[key] for key in ("runtime", "node_count", "allocated_cpus", "nodes")} == {
        "runtime": 65.0, "node_count": 2, "allocated_cpus": 8, "nodes": "big-[0-1]",
    }  # fmt: skip
    assert "runtime" not in made.jobs[1].result, "it was never submitted"
    assert (tmp_path / "bin/asked").read_text() == "..."


def test_a_job_that_the_accounting_lacks_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(production, "ACCOUNT_SECONDS", -1)
    with pytest.raises(RunError, match="the record of job 4 in the accounting did not happen"):
        production.take_accounts(queue(tmp_path, monkeypatch, looks=99))


def test_a_daemon_that_ends_says_why(tmp_path: Path) -> None:
    made = machine(tmp_path)
    made.daemons["slurmctld"] = process = subprocess.Popen(["false"])
    process.wait()
    (tmp_path / "logs/slurmctld.out.log").write_text("one\nslurmctld: fatal: no such plugin\n\n")
    with pytest.raises(RunError, match="slurmctld on controller ended with 1: slurmctld: fatal: no such plugin"):
        made.check_daemons()


def power_saving(folder: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> tuple[Machine, list[str]]:
    """A controller whose Slurm suspends and resumes one-0 when it is told to, and what it was told."""
    told: list[str] = []
    head = machine(folder, jobs=[])
    head.shared = folder / "shared"
    monkeypatch.setattr(power, "ASKED", folder / "asked")
    monkeypatch.setattr(system.time, "sleep", lambda _seconds: None)

    def command(*words: str, check: bool = True) -> str:
        told.append(" ".join(words[1:]))
        system.write_file(folder / "asked/suspend-one-0", "")
        return ""

    class Queue:
        def __init__(self, _machine: Machine, _workspace: Path, node: str) -> None:
            self.looks = 0
            self.jobs = [SimpleNamespace(result={"exit_code": code, "reason": "it failed"})]

        def submit_ready(self) -> None:
            system.write_file(folder / "asked/resume-one-0", "")

        def poll(self) -> None:
            self.looks += 1

        @property
        def done_count(self) -> int:
            return self.looks // 3

    monkeypatch.setattr(power, "command", command)
    monkeypatch.setattr(power, "resuming_job", Queue)
    states = iter([set(), {"IDLE", "POWERING_DOWN"}, {"IDLE", "POWERED_DOWN"}])
    monkeypatch.setattr(power, "node_state", lambda _node: (next(states), ""))
    return head, told


def test_a_node_is_suspended_and_a_new_machine_resumes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head, told = power_saving(tmp_path, monkeypatch, code=0)
    power.cycle(head, tmp_path)
    assert told == ["update NodeName=one-0 State=POWER_DOWN"]
    assert head.reporter.status["reimage"] == "one-0", "the host replaces it"
    assert list((tmp_path / "shared").iterdir()) == [], "the new machine is not told to be suspended"


def test_a_node_that_does_not_come_back_is_the_images_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head, _ = power_saving(tmp_path, monkeypatch, code=1)
    with pytest.raises(RunError, match="the job that one-0 was resumed for failed: it failed") as failed:
        power.cycle(head, tmp_path)
    assert failed.value.blame == "image"


def test_a_controller_alone_suspends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head, told = power_saving(tmp_path, monkeypatch, code=0)
    alone = [{**RUN_SPEC["machines"][0], "partition": "debug"}]
    head.run_spec = {**head.run_spec, "machines": alone}
    power.cycle(head, tmp_path)
    assert told == []


def test_a_node_stops_slurmd_when_it_is_told(tmp_path: Path) -> None:
    node = machine(tmp_path, "one-0")
    node.shared = tmp_path
    node.daemons["slurmd"] = running = subprocess.Popen(["sleep", "60"])
    power.suspend_if_asked(node)
    assert running.poll() is None
    (tmp_path / "suspend-one-0").touch()
    power.suspend_if_asked(node)
    assert (running.poll(), node.daemons) == (-15, {})
    power.suspend_if_asked(node)


def test_slurm_leaves_a_file_for_each_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(power, "STATE", tmp_path)
    monkeypatch.setattr(power, "ASKED", tmp_path / "asked")
    equip(tmp_path, ("scontrol",), ())
    (tmp_path / "bin/scontrol").write_text('#!/bin/sh\n[ "$*" = "show hostnames n[1-2]" ] && echo n1 && echo n2\n')
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    power.write_programs(pwd.getpwuid(os.getuid()).pw_name)
    assert os.system(f"{tmp_path}/resume 'n[1-2]'") == 0
    assert sorted(file.name for file in (tmp_path / "asked").iterdir()) == ["resume-n1", "resume-n2"]
