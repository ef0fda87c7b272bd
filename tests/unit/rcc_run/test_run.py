"""A whole step against the fake Google Cloud, with the real client libraries."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from bakery.host.google import Google
from bakery.rcc_run.cli import rcc_run
from bakery.rcc_run.run import look_up
from bakery.settings import from_file
from tests.fake_google import agents, compute
from tests.fake_google.cloud import Fault
from tests.support import gcloud
from tests.support.root import ROOT
from tests.support.step import IMAGES, STEP, TABLE, Workspace


def run(*words: str) -> int:
    """The exit code of a step."""
    try:
        return rcc_run([*STEP, *words], Path.cwd(), dict(os.environ))
    except SystemExit as ended:
        return int(str(ended.code))


def rows(workspace: Workspace) -> list[dict[str, Any]]:
    return [row["json"] for row in workspace.server.cloud.rows.get(TABLE, [])]


def machines(workspace: Workspace) -> list[dict[str, Any]]:
    """The instances that were asked for, in the words of the requests."""
    return [item for key, item in workspace.server.cloud.items.items() if "/instances/" in key]


def seed_of(workspace: Workspace) -> tarfile.TarFile:
    """What the machines got; the run takes it away at its end, so a hook keeps it."""
    return tarfile.open(fileobj=io.BytesIO(workspace.server.cloud.media["kept seed"]))


@pytest.fixture
def obedient(workspace: Workspace) -> Workspace:
    """Agents that end at once, and copies of what was asked for."""
    workspace.server.cloud.hooks.append(
        lambda cloud, _bucket, name, content: name.endswith("seed.tar") and cloud.media.update({"kept seed": content})
    )
    agents.obey(workspace.server.cloud)
    return workspace


def test_a_step_of_rcc_apps_passes_and_stores_its_rows(obedient: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    first, second = rows(obedient)
    assert first["build_id"] == "0123456789abcdef"
    assert (first["git_sha"], first["target_arch"], first["compiler"]) == ("c0ffee", "x86_64", '"gcc@10.3.0"')
    assert first["vm_image"] == "projects/p/global/images/openfoam-gcp-foss-latest"
    assert (first["exit_code"], first["command_group"], first["partition"]) == (0, "dam break", "c2-standard-60")
    assert (first["batch_options"], first["execution_command"]) == ("-N1 --time=30:00", "openfoam/test/setup.sh")
    assert (second["machine_type"], second["gvnic"], second["compact_placement"]) == ("c2-standard-60", True, False)
    assert (second["filestore"], second["lustre"], second["application_name"]) == (False, False, None)
    assert "output_directory" not in first
    said = capsys.readouterr()
    assert "dam break: 2 of 2 passed (100 %)" in said.out
    assert "testing openfoam-gcp-foss-latest in us-central1-f: 2 jobs\n" in said.err


def test_a_stack_whose_settings_are_not_in_the_workspace_is_no_stack(
    obedient: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BAKERY_STACK", "gpc")
    assert run() == 2
    assert "error: Pulumi.gpc.yaml does not exist; fix BAKERY_STACK, or unset it" in capsys.readouterr().err
    assert not machines(obedient)


def test_files_are_where_rcc_run_leaves_them(obedient: Workspace) -> None:
    assert run() == 0
    tests = json.loads((obedient.top / "results.json").read_text())["tests"]
    assert [(one["output_directory"], one["exit_code"]) for one in tests] == [("dam/core", 0), ("dam/core-solve", 0)]
    lines = (obedient.top / "bq-results.json").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows(obedient)
    assert json.loads((obedient.top / "settings.json").read_text())["bq_table"] == "p.rcc_run.app_runs"
    assert (obedient.top / "pass-fail.result").read_text() == "0"


def test_the_cluster_is_the_files_and_no_larger_than_the_jobs(obedient: Workspace) -> None:
    made: list[dict[str, Any]] = []
    obedient.server.cloud.hooks.insert(0, lambda *_given: made.extend(machines(obedient)))
    assert run() == 0
    parts = {one["name"].split("-", 2)[2]: one for one in made}
    assert len(parts) == 1 + 1 + 4, "120 tasks of 2 processors are 4 nodes of 60, not the 25 there may be"
    head = next(one for name, one in parts.items() if name.endswith("controller"))
    assert head["machineType"].endswith("us-central1-f/machineTypes/n1-standard-16")
    (disk,) = head["disks"]
    assert disk["initializeParams"]["diskType"].endswith("diskTypes/pd-ssd")
    assert disk["initializeParams"]["sourceImage"].endswith("images/openfoam-gcp-foss-latest")
    compact = next(one for name, one in parts.items() if "compact" in name)
    assert compact["scheduling"]["provisioningModel"] == "SPOT"
    assert machines(obedient) == [], "all are gone at the end"


def test_the_cluster_gets_the_workspace_without_hidden_files_and_rcc_runs_environment(obedient: Workspace) -> None:
    obedient.write("app.sif", "singularity")
    assert (
        run("--singularity-image=app.sif", "--docker-image=d", "--env-file=some.env", "--ignore-job-dependencies") == 0
    )
    with seed_of(obedient) as tar:
        names = tar.getnames()
        assert {"workspace/app.sif", "workspace/openfoam/test/setup.sh"} <= set(names)
        assert not [name for name in names if ".git" in name or ".fluid-run" in name]
        assert tar.getmember("workspace/openfoam/test/setup.sh").mode & 0o100
        run_spec = json.load(tar.extractfile("run_spec.json"))  # type: ignore[arg-type]
    assert run_spec["env"] == {
        "PROJECT": "p",
        "GIT_SHA": "c0ffee",
        "GCE_IMAGE": "projects/p/global/images/openfoam-gcp-foss-latest",
        "DOCKER_IMAGE": "d",
    }
    assert run_spec["env_paths"] == {"SINGULARITY_IMAGE": "app.sif", "ENV_FILE": "some.env"}
    assert run_spec["ignore_dependencies"] is True


def test_gpus_are_asked_for_behind_the_jobs_own_options_and_not_in_its_row(obedient: Workspace) -> None:
    assert run("--gpu-count=2") == 0
    with seed_of(obedient) as tar:
        run_spec = json.load(tar.extractfile("run_spec.json"))  # type: ignore[arg-type]
    assert run_spec["jobs"][0]["batch_options"] == "-N1 --time=30:00 --gres=gpu:2"
    assert rows(obedient)[0]["batch_options"] == "-N1 --time=30:00"


def test_a_failed_job_ends_with_1_and_its_rows_are_stored(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    agents.obey(workspace.server.cloud, {"dam/core-solve": 3})
    assert run() == 1
    assert [row["exit_code"] for row in rows(workspace)] == [0, 3]
    assert (workspace.top / "pass-fail.result").read_text() == "1"
    said = capsys.readouterr().out
    assert "dam break: 1 of 2 passed (50 %)" in said
    assert "failed: openfoam/test/solve.sh in dam/core-solve: exit code 3" in said


def test_a_failed_job_may_be_ignored(workspace: Workspace) -> None:
    agents.obey(workspace.server.cloud, {"dam/core": 1})
    assert run("--ignore-exit-code") == 0
    assert (workspace.top / "pass-fail.result").read_text() == "1"
    assert len(rows(workspace)) == 2


def test_without_save_results_nothing_is_stored(obedient: Workspace) -> None:
    words = [word for word in STEP if word != "--save-results"]
    assert rcc_run(words, Path.cwd(), dict(os.environ)) == 0
    assert rows(obedient) == []


def test_another_table_is_taken(obedient: Workspace) -> None:
    other = TABLE.replace("datasets/rcc_run", "datasets/mine")
    obedient.server.cloud.items[other] = obedient.server.cloud.items[TABLE]
    assert run("--bq_dataset=p:mine.app_runs") == 0
    assert len(obedient.server.cloud.rows[other]) == 2


def test_a_table_that_is_not_there_is_told_and_ends_with_1(
    obedient: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--bq_dataset=p:nowhere.app_runs") == 1
    assert "there is no table p.nowhere.app_runs" in capsys.readouterr().err
    assert (obedient.top / "results.json").is_file()


def test_an_image_family_of_another_project(obedient: Workspace) -> None:
    collection = IMAGES.replace("projects/p/", "projects/research-computing-cloud/")
    compute.add_image(
        obedient.server.cloud,
        collection,
        {"name": "foss-7", "family": "rcc-run-foss", "guestOsFeatures": [{"type": "GVNIC"}]},
    )
    made: list[dict[str, Any]] = []
    obedient.server.cloud.hooks.insert(0, lambda *_given: made.extend(machines(obedient)))
    family = "projects/research-computing-cloud/global/images/family/rcc-run-foss"
    assert run(f"--gce-image={family}") == 0
    source = made[0]["disks"][0]["initializeParams"]["sourceImage"]
    assert source.endswith("projects/research-computing-cloud/global/images/foss-7")
    assert rows(obedient)[0]["vm_image"] == family


def test_the_settings_of_the_options_reach_the_machines(obedient: Workspace) -> None:
    made: list[dict[str, Any]] = []
    obedient.server.cloud.hooks.insert(0, lambda *_given: made.extend(machines(obedient)))
    assert run("--service-account=me@p.iam.gserviceaccount.com", "--vpc-subnet=default") == 0
    assert made[0]["serviceAccounts"][0]["email"] == "me@p.iam.gserviceaccount.com"
    assert made[0]["networkInterfaces"][0]["subnetwork"] == "projects/p/regions/us-central1/subnetworks/default"


def test_the_default_cluster_and_a_json_ci_file(obedient: Workspace) -> None:
    job = {"command_group": "hi", "execution_command": "openfoam/test/setup.sh", "output_directory": "hi"}
    obedient.write("fluidci.json", json.dumps({"tests": [job]}))
    words = [word for word in STEP if not word.startswith(("--ci-file", "--rcc-tfvars"))]
    assert rcc_run(words, Path.cwd(), dict(os.environ)) == 0
    assert rows(obedient)[0]["partition"] == "c2-standard-8"


def test_everything_that_is_wrong_is_told_before_anything_is_made(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.write("openfoam/test/rcc.auto.tfvars", 'partitions = [{ name = "other", zone = "x", surprise = 1 }]\n')
    workspace.write(
        "openfoam/fluidci.yaml", "tests:\n- command_group: a\n  partition: lost\n  output_directory: ../up\n"
    )
    assert run("--node-count=many", "--wrong") == 2
    said = capsys.readouterr().err
    for words in (
        "error: --node-count is 'many'",
        "error: unknown option --wrong",
        "fluidci.yaml:2: error: execution_command is missing",
        "fluidci.yaml:4: error: output_directory is '../up'",
        "rcc.auto.tfvars:1: error: zone is 'x' while --zone is 'us-central1-f'",
        "rcc.auto.tfvars:1: warning: surprise is not known",
    ):
        assert words in said, said
    assert workspace.server.cloud.calls == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--ci-file=nope.yaml",), "--ci-file: there is no file nope.yaml"),
        (("--rcc-tfvars=nope.tfvars",), "--rcc-tfvars: there is no file nope.tfvars"),
        (("--gce-image=projects/p/global/images/gone",), "there is no image gone in p"),
        (("--gce-image=projects/p/global/images/family/gone",), "there is no image family gone in p"),
        (("--gce-image=Not An Image",), "--gce-image is 'Not An Image'"),
    ],
)
def test_wrong_input(
    workspace: Workspace, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.write("openfoam/test/rcc.auto.tfvars", TFVARS_OF_ANY_IMAGE)
    assert run(*words) == 2
    assert message in capsys.readouterr().err
    assert machines(workspace) == []


TFVARS_OF_ANY_IMAGE = 'partitions = [{ name = "c2-standard-60" }, { name = "compact" }]\n'


def test_a_partition_that_the_cluster_does_not_have(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.write("openfoam/test/rcc.auto.tfvars", 'partitions = [{ name = "compact" }]\n')
    assert run() == 2
    assert "the cluster has no partition c2-standard-60; known: compact" in capsys.readouterr().err


def test_a_broken_cluster_ends_with_1_even_when_failing_is_ignored(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.server.cloud.faults.append(Fault("compute.instances.insert", 400, times=-1))
    assert run("--ignore-exit-code") == 1
    assert "error: make the machine fr-" in capsys.readouterr().err
    assert machines(workspace) == []


def test_a_project_without_the_bakerys_bucket_is_told(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    del workspace.server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"]
    assert run() == 1
    assert "there is no bucket p-bakery-artifacts" in capsys.readouterr().err
    assert machines(workspace) == []


def test_a_403_says_what_the_account_lacks(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    workspace.server.cloud.faults.append(Fault("compute.images.get", 403))
    assert run() == 1
    assert "docs/google.md" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_cancelled_step_takes_its_machines_away(workspace: Workspace, number: signal.Signals) -> None:
    """Cloud Build ends a step with SIGTERM when somebody cancels the build."""
    command = [sys.executable, "-W", "error", "-c", "from bakery.rcc_run.cli import builder; builder()", *STEP]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "BAKERY_STACK": "gcp"}
    running = subprocess.Popen(command, cwd=workspace.top, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(key.endswith("/seed.tar") for key in list(workspace.server.cloud.items)):
        assert time.monotonic() < deadline and running.poll() is None
        time.sleep(0.05)
    assert machines(workspace)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert said.endswith("interrupted\n") and "Traceback" not in said
    assert machines(workspace) == []


def test_a_cluster_that_is_there_is_visited_by_ssh_and_nothing_is_made(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.write("openfoam/test/solve.sh", "#!/bin/bash\nexit 4\n", 0o755)
    words = ("--cluster-type=rcc-static", "--rcc-controller=head")
    with gcloud.installed(tmp_path / ".machines", monkeypatch, "head"):
        assert run(*words) == 1
    first, second = rows(workspace)
    assert (first["exit_code"], second["exit_code"]) == (0, 4)
    assert (first["node_count"], first["machine_type"], first["partition"]) == (2, None, "p")
    assert first["vm_image"] == "projects/p/global/images/openfoam-gcp-foss-latest"
    assert "dam break: 1 of 2 passed" in capsys.readouterr().out
    asked = {method for _at, method, _path in workspace.server.cloud.calls}
    assert asked == {"bigquery.tabledata.insertAll"}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("projects/p/images/family/openfoam-gcp-foss", "openfoam-gcp-foss-latest"),  # as rcc-tf itself writes it
        ("projects/p/global/images/family/openfoam-gcp-foss", "openfoam-gcp-foss-latest"),
        ("openfoam-gcp-foss-latest", "openfoam-gcp-foss-latest"),
    ],
)
def test_an_image_is_found_however_it_is_written(workspace: Workspace, text: str, named: str) -> None:
    google = Google(from_file(workspace.top, "gcp").google)
    assert look_up(text, google).name == named
