"""Visits to a cluster that is there: what goes over ssh, lost connections, agents that end too early."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, MissingTool
from bakery.fluid_run.base import AgentStatus
from bakery.fluid_run.clusters import static
from bakery.fluid_run.clusters.static import StaticCluster, StaticClusters
from bakery.host import process
from bakery.library.base import ImageRecord
from bakery.orders.model import RunOrder
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Suite, SuiteJob
from bakery.results.model import Stage
from bakery.settings import parse
from tests.support import gcloud

JOB = SuiteJob("a", "t/run.sh", "out", time_limit=60)


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with gcloud.installed(tmp_path / "machines", monkeypatch, "head") as folder:
        yield folder


def cluster(tmp_path: Path, script: str = "echo hello\n") -> StaticCluster:
    google = {"project": "p", "region": "us-central1"}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", tmp_path / "checkout")
    place = tmp_path / "workspace" / "t"
    place.mkdir(parents=True)
    (place / "run.sh").write_text(f"#!/bin/bash\n{script}")
    (place / "run.sh").chmod(0o755)
    suite = Suite((JOB,), ClusterShape(partitions=(), login_nodes=0))
    order = RunOrder("head", "d" * 64, "", "", suite, (), "abc", "gcc", "x86_64")
    image = ImageRecord("head", "", "", "", "", "")
    made = StaticClusters(settings, "head", "us-central1-a", ask_seconds=0.1)
    return made.cluster("r1", image, order, tmp_path / "workspace")


def wait_for(made: StaticCluster, wanted: Callable[[AgentStatus], bool]) -> AgentStatus:
    deadline = time.monotonic() + 60
    while not wanted(status := made.status()):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def pid(machines: Path) -> int:
    return int((machines / "head/.fluid-run-r1/pid").read_text())


def held(machines: Path) -> None:
    """Jobs that never end by themselves."""
    scontrol = machines / "head/bin/scontrol"
    scontrol.write_text(scontrol.read_text().replace('"COMPLETED" if code == "0:0" else "FAILED"', '"RUNNING"'))


def test_every_call_goes_through_iap_with_a_key_that_ends(machines: Path, tmp_path: Path) -> None:
    made = cluster(tmp_path)
    made.provision(Activity())
    wait_for(made, lambda status: status.ended)
    made.collect(tmp_path / "results")
    made.tear_down()
    calls = [json.loads(line) for line in (machines / "calls").read_text().splitlines()]
    assert len(calls) >= 5
    for words in calls:
        assert {"--project=p", "--zone=us-central1-a", "--tunnel-through-iap", "--quiet"} <= set(words)
        assert "--ssh-key-expire-after=1d" in words
        (key,) = (word for word in words if word.startswith("--ssh-key-file="))
        assert not Path(key.partition("=")[2]).exists()


def test_jobs_run_as_the_user_with_rcc_runs_environment(machines: Path, tmp_path: Path) -> None:
    made = cluster(tmp_path, 'echo "$PROJECT $GIT_SHA $GCE_IMAGE"; echo new >"$WORKSPACE/file"\n')
    made.provision(Activity())
    wait_for(made, lambda status: status.ended)
    made.collect(tmp_path / "results")
    made.tear_down()
    assert (tmp_path / "results/outputs/out/stdout").read_text() == "p abc head\n"
    assert (tmp_path / "results/outputs/out/file").read_text() == "new\n"


def test_a_lost_connection_loses_nothing(machines: Path, tmp_path: Path) -> None:
    made = cluster(tmp_path)
    made.provision(Activity())
    (machines / "down").touch()
    time.sleep(1)
    assert not made.status().ended
    (machines / "down").unlink()
    assert wait_for(made, lambda status: status.ended).error == ""
    made.tear_down()


def test_a_controller_that_stays_silent_is_given_up(
    machines: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = cluster(tmp_path)
    made.provision(Activity())
    monkeypatch.setattr(static, "SILENT_SECONDS", 0.5)
    (machines / "down").touch()
    with pytest.raises(InfrastructureFailed, match="head does not answer on ssh"):
        wait_for(made, lambda _: False)
    (machines / "down").unlink()
    made.tear_down()


def test_an_agent_that_was_killed_is_told_with_its_last_words(machines: Path, tmp_path: Path) -> None:
    held(machines)
    made = cluster(tmp_path)
    made.provision(Activity())
    wait_for(made, lambda status: status.stage is Stage.RUN)
    os.kill(pid(machines), signal.SIGKILL)
    with pytest.raises(InfrastructureFailed, match="the agent on head is gone") as caught:
        wait_for(made, lambda _: False)
    assert any("sbatch --parsable" in line for line in caught.value.tail)
    made.tear_down()


def test_a_python_that_is_too_old_is_told(machines: Path, tmp_path: Path) -> None:
    old = machines / "head/bin/python3"
    old.write_text("#!/bin/sh\necho 'SyntaxError: future feature annotations is not defined' >&2\nexit 1\n")
    old.chmod(0o755)
    made = cluster(tmp_path)
    made.provision(Activity())
    with pytest.raises(InfrastructureFailed, match="the agent on head is gone") as caught:
        wait_for(made, lambda _: False)
    assert caught.value.tail == ("SyntaxError: future feature annotations is not defined",)
    made.tear_down()


def test_tear_down_ends_the_jobs_that_run(machines: Path, tmp_path: Path) -> None:
    held(machines)
    made = cluster(tmp_path)
    made.provision(Activity())
    wait_for(made, lambda status: status.stage is Stage.RUN)
    agent = pid(machines)
    made.tear_down()
    assert (machines / "jobs.cancelled").read_text() == "1 "
    assert not Path(f"/proc/{agent}").exists()
    assert not list((machines / "head").glob(".fluid-run*"))


def test_what_the_profile_prints_does_no_harm(machines: Path, tmp_path: Path) -> None:
    program = machines / "bin/gcloud"
    program.write_text(program.read_text().replace("sys.stdout.write(out)", "sys.stdout.write('welcome\\n' + out)"))
    made = cluster(tmp_path)
    made.provision(Activity())
    wait_for(made, lambda status: status.ended)
    made.tear_down()


def test_a_refused_login_says_what_to_do(machines: Path, tmp_path: Path) -> None:
    (machines / "down").touch()
    made = cluster(tmp_path)
    with pytest.raises(InfrastructureFailed, match="head: gcloud ended with exit code 255") as caught:
        made.provision(Activity())
    assert "gcloud compute scp" in caught.value.replay and "IAP" in caught.value.hint
    made.tear_down()


def test_without_gcloud_nothing_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingTool, match="gcloud is not installed"):
        cluster(tmp_path).provision(Activity())


@pytest.mark.parametrize("answer", ["", "alive\n", 'alive\n{"stage": "ru'])
def test_half_an_answer_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    made = cluster(tmp_path)
    made.clusters = replace(made.clusters, ask_seconds=0.0)
    monkeypatch.setattr(process, "output", lambda *_, **__: 'alive\n{"stage": "run", "jobs_done": 1}')
    known = made.status()
    assert known.jobs_done == 1
    monkeypatch.setattr(process, "output", lambda *_, **__: answer)
    assert made.status() == known
    monkeypatch.setattr(static, "SILENT_SECONDS", 0.0)
    with pytest.raises(InfrastructureFailed, match="head does not answer on ssh"):
        made.status()
