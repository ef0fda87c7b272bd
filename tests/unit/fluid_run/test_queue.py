"""Submitting and following jobs, against programs named sbatch and scontrol that keep their state in files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bakery.fluid_run.agent.job_queue import LAUNCH_FAILED, JobQueue
from bakery.fluid_run.agent.mailbox import Reporter
from bakery.fluid_run.agent.system import RunError
from tests.support import slurm as programs


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = programs.install(tmp_path)
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(tmp_path / "jobs"))
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def queue(slurm: Path, *jobs: dict[str, Any]) -> JobQueue:
    class Silent:
        def send_status(self, content: Any) -> None: ...

        def send_results(self, members: Any) -> None: ...

    full = [
        {"command_group": "g", "execution_command": "run.sh", "output_directory": f"o{n}", **job}
        for n, job in enumerate(jobs)
    ]
    run_spec = {
        "jobs": full,
        "env": {"PROJECT": "p", "GIT_SHA": "s", "GCE_IMAGE": "i", "FAKE_SLURM": str(slurm / "jobs")},
    }
    made = JobQueue(run_spec, slurm / "ws", Reporter(Silent(), "controller", slurm / "logs"))
    made.home = str(slurm)
    made.environment = lambda job, old=made.environment: {**old(job), "HOME": str(slurm)}  # type: ignore[method-assign]
    return made


def submitted(slurm: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (slurm / "jobs").read_text().splitlines()]


def dependencies(slurm: Path) -> list[str]:
    return [
        next((w.split(":")[1] for w in job["words"] if w.startswith("--dependency")), "") for job in submitted(slurm)
    ]


def test_jobs_of_a_group_are_chained_in_file_order(slurm: Path) -> None:
    made = queue(slurm, {}, {"command_group": "h"}, {}, {"command_group": "h"}, {})
    made.submit_ready()
    assert [job.number for job in made.jobs] == ["1", "4", "2", "5", "3"]
    assert dependencies(slurm) == ["", "1", "2", "", "4"]


def test_groups_can_be_ignored(slurm: Path) -> None:
    made = queue(slurm, {}, {}, {"command_group": "other"})
    made.run_spec = {**made.run_spec, "ignore_dependencies": True}
    made.submit_ready()
    assert not any("--dependency" in word for job in submitted(slurm) for word in job["words"])


def test_paths_in_the_environment_begin_at_the_workspace(slurm: Path) -> None:
    made = queue(slurm, {})
    made.run_spec = {**made.run_spec, "env_paths": {"SINGULARITY_IMAGE": "images/app.sif"}}
    assert made.environment(made.jobs[0])["SINGULARITY_IMAGE"] == str(slurm / "ws" / "images" / "app.sif")


def test_the_words_of_sbatch(slurm: Path) -> None:
    job = {
        "execution_command": "t/run.sh a 'b c'",
        "partition": "big",
        "batch_options": "-N2 --comment='x y'",
        "time_limit": 90,
    }
    made = queue(slurm, job)
    made.submit_ready()
    ws = slurm / "ws"
    assert submitted(slurm)[0]["words"] == [
        "--parsable",
        "--partition=big",
        "--time=3",
        *("-o", f"{ws}/o0/stdout", "-e", f"{ws}/o0/stderr"),
        *("-N2", "--comment=x y"),
        *(f"{ws}/t/run.sh", "a", "b c"),
    ]


def test_the_environment_is_rcc_runs(slurm: Path) -> None:
    made = queue(slurm, {})
    made.submit_ready()
    place = str(slurm / "ws" / "o0")
    assert submitted(slurm)[0]["env"] == {"WORKSPACE": place, "PROJECT": "p", "GIT_SHA": "s", "GCE_IMAGE": "i"}
    assert submitted(slurm)[0]["cwd"] == place


def test_a_refused_job_is_done_and_the_next_follows_the_one_before(slurm: Path) -> None:
    made = queue(slurm, {}, {"batch_options": "--refuse"}, {})
    made.submit_ready()
    assert dependencies(slurm) == ["", "1"]
    assert (made.jobs[1].result["state"], made.jobs[1].done) == ("REFUSED", True)
    assert "no such partition" in made.jobs[1].result["reason"]


def test_results_of_finished_jobs(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CODE_2", "3:0")
    made = queue(slurm, {}, {})
    made.follow(None)
    first, second = (job.result for job in made.jobs)
    assert (first["exit_code"], first["runtime"], first["node_count"], first["allocated_cpus"]) == (0, 9.0, 2, 4)
    assert (second["exit_code"], second["state"], second["lost"]) == (3, "FAILED", False)


def test_a_job_that_failed_on_a_full_disk_is_told_so(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        f_bavail = 0

    monkeypatch.setenv("FAKE_CODE_2", "2:0")
    monkeypatch.setattr("os.statvfs", lambda _path: Full)
    made = queue(slurm, {}, {})
    made.follow(None)
    reasons = [job.result["reason"] for job in made.jobs]
    assert reasons == ["", "job ended FAILED, exit code 2:0; the disk of the shared home is full"]


def test_a_lost_node_is_not_the_images_fault(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STATE_1", "NODE_FAIL")
    made = queue(slurm, {})
    made.follow(None)
    assert made.jobs[0].result["lost"]


def test_a_job_is_tried_again_and_what_follows_waits(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CODE_1", "1:0")
    made = queue(slurm, {"attempts": 2}, {})
    made.submit_ready()
    assert len(submitted(slurm)) == 1
    (slurm / "ws" / "o0" / "stdout").write_text("first")
    made.follow(None)
    assert dependencies(slurm) == ["", "", "2"]
    assert [entry["exit_code"] for entry in made.jobs[0].result["attempts"]] == [1, 0]
    assert (slurm / "ws" / "o0" / "stdout.attempt1").read_text() == "first"


def test_a_job_over_its_time_is_cancelled_and_timed_out(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = queue(slurm, {"time_limit": 5})
    made.submit_ready()
    monkeypatch.setenv("FAKE_STATE_1", "RUNNING")
    made.poll()
    assert (slurm / "jobs.cancelled").read_text() == "1 "
    monkeypatch.setenv("FAKE_STATE_1", "CANCELLED")
    made.poll()
    assert (made.jobs[0].result["state"], made.jobs[0].result["exit_code"]) == ("TIMEOUT", 124)
    assert made.jobs[0].result["reason"] == "job was over its time limit of 5 s"


def test_a_job_whose_prolog_failed_is_cancelled(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = queue(slurm, {})
    made.submit_ready()
    monkeypatch.setenv("FAKE_STATE_1", "PENDING")
    made.poll()
    assert not (slurm / "jobs.cancelled").exists(), "it only waits"
    monkeypatch.setenv("FAKE_REASON_1", LAUNCH_FAILED)
    made.poll()
    made.poll()
    assert (slurm / "jobs.cancelled").read_text() == "1 ", "once"
    monkeypatch.setenv("FAKE_STATE_1", "CANCELLED")
    made.poll()
    assert "its prolog failed, see slurmd.log" in made.jobs[0].result["reason"]


def test_on_its_own_cluster_a_prolog_that_failed_ends_the_run(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = queue(slurm, {}, {"command_group": "other"})
    made.submit_ready()
    made.user = "fluidrun"
    monkeypatch.setenv("FAKE_STATE_2", "PENDING")
    monkeypatch.setenv("FAKE_REASON_2", LAUNCH_FAILED)
    with pytest.raises(RunError, match="could not start job 2: its prolog failed") as failed:
        made.poll()
    assert (failed.value.blame, made.jobs[0].done) == ("image", True)


def test_the_second_attempt_has_a_time_limit_too(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = queue(slurm, {"time_limit": 5, "attempts": 2})
    made.submit_ready()
    for number in (1, 2):
        for state in ("RUNNING", "CANCELLED"):
            monkeypatch.setenv(f"FAKE_STATE_{number}", state)
            made.poll()
    assert [entry["state"] for entry in made.jobs[0].result["attempts"]] == ["TIMEOUT", "TIMEOUT"]


def test_when_the_time_of_the_run_is_over_each_open_job_says_what_it_waited_for(
    slurm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = queue(slurm, {}, {"attempts": 2})
    made.submit_ready()
    monkeypatch.setenv("FAKE_STATE_2", "PENDING")
    made.poll()
    made.expire()
    monkeypatch.setenv("FAKE_STATE_2", "CANCELLED")
    made.poll()
    assert [job.result["exit_code"] for job in made.jobs] == [0, 124]
    assert made.jobs[1].result["reason"] == "job had not ended at the deadline of the run (PENDING JobHeldUser)"
    assert made.jobs[1].done, "there is no time for a second attempt"


def test_a_run_ends_at_its_deadline(slurm: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_STATE_1", "RUNNING")
    made = queue(slurm, {})
    made.run_spec = {**made.run_spec, "deadline_seconds": -1}
    expire = made.expire

    def expired() -> None:
        expire()
        monkeypatch.setenv("FAKE_STATE_1", "CANCELLED")

    monkeypatch.setattr(made, "expire", expired)
    made.follow(None)
    assert made.jobs[0].result["state"] == "TIMEOUT"


def test_a_percent_sign_in_a_path_is_no_pattern_of_sbatch(slurm: Path) -> None:
    made = queue(slurm, {"output_directory": "-o %j"})
    made.submit_ready()
    words = submitted(slurm)[0]["words"]
    assert words[words.index("-o") + 1] == f"{slurm}/ws/-o %%j/stdout"
    assert (slurm / "ws/-o %j").is_dir()


@pytest.mark.parametrize("name", ["a-file", "a-file/below", "l" * 300])
def test_an_output_directory_that_can_not_be_made_is_the_jobs_own_failure(slurm: Path, name: str) -> None:
    (slurm / "ws").mkdir()
    (slurm / "ws/a-file").touch()
    made = queue(slurm, {"output_directory": name}, {})
    made.follow(None)
    first, second = (job.result for job in made.jobs)
    assert (first["state"], first["exit_code"], second["state"]) == ("REFUSED", 999, "COMPLETED")
    assert first["reason"].startswith("output directory: ")
