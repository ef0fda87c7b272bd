"""rcc-run's options: its defaults, its older names, and every problem at once."""

from __future__ import annotations

import pytest

from bakery.errors import Severity
from bakery.rcc_run.arguments import Arguments, parse

GOOD = ("--project=p", "--build-id=b", "--git-sha=s")


def said(*words: str, severity: Severity = Severity.ERROR) -> list[str]:
    return [problem.message for problem in parse([*GOOD, *words], {})[1] if problem.severity is severity]


def test_the_defaults_are_rcc_runs() -> None:
    given, problems = parse(GOOD, {})
    assert problems == []
    assert given == Arguments(project="p", build_id="b", git_sha="s")
    assert (given.cluster_type, given.zone, given.machine_type) == ("rcc-ephemeral", "us-west1-b", "n1-standard-2")
    assert (given.node_count, given.gpu_count, given.ci_file) == (1, 0, "./fluidci.json")
    assert given.table == "p.rcc_run.app_runs"
    assert not (given.save_results or given.ignore_exit_code or given.ignore_job_dependencies)


def test_all_options_of_rcc_run_are_taken() -> None:
    words = (
        *("--cluster-type=rcc-ephemeral", "--node-count=3", "--machine-type=m", "--compiler=gcc", "--target-arch=x"),
        *("--gpu-count=2", "--gpu-type=g", "--vpc-subnet=v", "--service-account=a", "--artifact-type=docker"),
        *("--docker-image=d", "--env-file=e", "--gce-image=i", "--zone=us-central1-f", "--ci-file=c"),
        *("--rcc-tfvars=t", "--save-results", "--ignore-exit-code", "--ignore-job-dependencies"),
        *("--bq_dataset=q:d.t", "--nproc=4", "--task-affinity=core", "--mpi", "--profile"),
    )
    given, problems = parse([*GOOD, *words], {})
    assert [problem for problem in problems if problem.severity is not Severity.WARNING] == []
    assert (given.node_count, given.gpu_count, given.docker_image, given.nproc) == (3, 2, "d", 4)
    assert given.mpi and given.profile and given.save_results and given.ignore_exit_code
    assert given.table == "q.d.t"


@pytest.mark.parametrize(
    ("old", "name"),
    [
        ("--slurm-controller=x", "rcc_controller"),
        ("--image=x", "gce_image"),
        ("--cifile=x", "ci_file"),
        ("--bq-dataset=x.y", "bq_dataset"),
        ("--bq-table=x.y", "bq_dataset"),
        ("--singularity=x", "singularity_image"),
    ],
)
def test_older_names_and_unique_beginnings_mean_the_same(old: str, name: str) -> None:
    given, _ = parse([*GOOD, old], {})
    assert getattr(given, name) == old.partition("=")[2]


def test_older_switches_change_nothing() -> None:
    given, problems = parse([*GOOD, "--surface-nonzero-exit-code", "--rcc-ephemeral"], {})
    assert (given, problems) == (Arguments(project="p", build_id="b", git_sha="s"), [])
    assert parse([*GOOD, "--surface-nonzero-exit-code", "True"], {})[1] == []


def test_what_is_missing_comes_from_the_environment() -> None:
    given, problems = parse([], {"BUILD_ID": "b", "COMMIT_SHA": "s", "PROJECT_ID": "p"})
    assert (given.build_id, given.git_sha, given.project, problems) == ("b", "s", "p", [])
    assert parse(["--project=q"], {"PROJECT_ID": "p"})[0].project == "q"


def test_everything_that_is_wrong_is_told_at_once() -> None:
    _, problems = parse(
        ["--cluster-type=gce", "--zone=west", "--node-count=some", "--bq_dataset=x", "--gce-imge=y", "--quux", "lost"],
        {},
    )
    errors = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
    assert len(errors) == 8
    assert "command line:1: error: unknown option --gce-imge; did you mean --gce-image?" in errors
    assert "command line:1: error: unknown option --quux; remove it; see --help" in errors
    assert "command line:1: error: --project is missing; write --project=${PROJECT_ID}" in errors
    assert "command line:1: error: --node-count is 'some'; write a whole number" in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--cluster-type=rcc-static",), "rcc-static needs a controller"),
        (("--zone",), "argument --zone: expected one argument"),
        (("--save-results=yes",), "argument --save-results: ignored explicit argument 'yes'"),
    ],
)
def test_errors(words: tuple[str, ...], message: str) -> None:
    assert said(*words) == [message]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mpi",), "--mpi has no effect, as in rcc-run"),
        (("--rcc-controller=c",), "--rcc-controller has no effect with rcc-ephemeral"),
        (
            ("--cluster-type=rcc-static", "--rcc-controller=c", "--rcc-tfvars=t"),
            "--rcc-tfvars has no effect with rcc-static",
        ),
        (("--artifact-type=tape",), "--artifact-type is 'tape'"),
        (("--artifact-type=docker",), "--artifact-type=docker has no --docker-image"),
        (
            ("--artifact-type=gce-image", "--docker-image=d"),
            "--docker-image contradicts --artifact-type=gce-image",
        ),
        (
            ("--surface-nonzero-exit-code", "--ignore-exit-code"),
            "--surface-nonzero-exit-code and --ignore-exit-code contradict each other",
        ),
    ],
)
def test_warnings(words: tuple[str, ...], message: str) -> None:
    assert said(*words, severity=Severity.WARNING) == [message]
    assert said(*words) == []
