"""The options of rcc-run, older names too, and what is wrong with the given ones: everything at once."""

import argparse
import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NoReturn

from bakery.errors import Problem, Severity

WHERE = "command line"
EPHEMERAL, STATIC = "rcc-ephemeral", "rcc-static"
ARTIFACTS = ("gce-image", "gce-vm-image", "docker", "singularity")
DEFAULT_IMAGE = "projects/research-computing-cloud/global/images/family/rcc-run-foss"
DEFAULT_TFVARS = "/opt/rcc-run/etc/rcc-ephemeral/default/fluid.auto.tfvars"  # built in here, see cluster.py
ZONE = re.compile(r"[a-z]+(-[a-z]+)+\d+-[a-z]")
TABLE = re.compile(r"(?:[a-z][a-z0-9.:-]*[:.])?\w+\.\w+")
RENAMED = {  # options of rcc-run's earlier versions
    "--slurm-controller": "--rcc-controller",
    "--image": "--gce-image",
    "--cifile": "--ci-file",
    "--bq-table": "--bq_dataset",
    "--bq-dataset": "--bq_dataset",
}
IDLE = ("nproc", "task_affinity", "mpi", "profile")  # rcc-run keeps them in its settings and does nothing with them


@dataclass(frozen=True)
class Arguments:
    """The options by rcc-run's names. ``given`` are those from the command line."""

    build_id: str = ""
    cluster_type: str = EPHEMERAL
    git_sha: str = ""
    node_count: int = 1
    machine_type: str = "n1-standard-2"
    compiler: str = ""
    target_arch: str = ""
    gpu_count: int = 0
    gpu_type: str = ""
    nproc: int = 1
    task_affinity: str = ""
    mpi: bool = False
    profile: bool = False
    vpc_subnet: str = ""
    service_account: str = ""
    artifact_type: str = "singularity"
    docker_image: str = ""
    singularity_image: str = ""
    env_file: str = ""
    gce_image: str = DEFAULT_IMAGE
    project: str = ""
    zone: str = "us-west1-b"
    rcc_controller: str = ""
    ci_file: str = "./fluidci.json"
    rcc_tfvars: str = DEFAULT_TFVARS
    save_results: bool = False
    ignore_exit_code: bool = False
    ignore_job_dependencies: bool = False
    bq_dataset: str = ""
    given: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def short_build_id(self) -> str:
        """The part of the build id that rcc-run puts into a cluster's name."""
        return self.build_id[:7]

    @property
    def table(self) -> str:
        """The BigQuery table of the rows, as ``project.dataset.table``."""
        name = (self.bq_dataset or f"{self.project}.rcc_run.app_runs").replace(":", ".")
        return name if name.count(".") > 1 else f"{self.project}.{name}"


HELP: Mapping[str, str] = {
    "build_id": "Cloud Build's ${BUILD_ID}; stored in each row",
    "cluster_type": "rcc-ephemeral, a cluster made for these tests, or rcc-static, an existing one",
    "git_sha": "commit that is tested; stored in each row",
    "node_count": "fills <node_count> in the tfvars file",
    "machine_type": "fills <machine_type> in the tfvars file",
    "compiler": "compiler of the application; stored in each row",
    "target_arch": "architecture the application was built for; stored in each row",
    "gpu_count": "fills <gpu_count> in the tfvars file, and requests that number of GPUs for each job",
    "gpu_type": "fills <gpu_type> in the tfvars file",
    "vpc_subnet": "subnetwork of the cluster (a link or a path), instead of the bakery's",
    "service_account": "account of the machines, instead of the bakery's",
    "artifact_type": "kind of the tested artifact: gce-image, docker or singularity",
    "docker_image": "passed to the jobs as DOCKER_IMAGE",
    "singularity_image": "file of the workspace; its path is passed to the jobs as SINGULARITY_IMAGE",
    "env_file": "file of the workspace; its path is passed to the jobs as ENV_FILE",
    "gce_image": "link, path or name of the image that the machines boot from, or of a family",
    "project": "project of the cluster",
    "zone": "zone of the cluster",
    "rcc_controller": "with rcc-static: the cluster's controller",
    "ci_file": "the tests: a YAML or JSON file",
    "rcc_tfvars": "the cluster, as variables of rcc-tf; the default has at most five c2-standard-8",
    "save_results": "store the rows in BigQuery",
    "ignore_exit_code": "end with exit code 0 even if a test fails",
    "ignore_job_dependencies": "do not chain the jobs of a command group",
    "bq_dataset": "the table of the rows, instead of {project}:rcc_run.app_runs",
}


class _Wrong(Exception):
    """An error message of argparse."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Wrong(message)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the options; as in rcc-run, their names may be abbreviated."""
    made = _Parser(prog="rcc-run", description="Test an application on a Slurm cluster that is made for it.")
    for one in fields(Arguments):
        if one.name == "given":
            continue
        name = "--bq_dataset" if one.name == "bq_dataset" else f"--{one.name.replace('_', '-')}"
        aliases = [old for old, new in RENAMED.items() if new == name]
        text = HELP.get(one.name, "without effect, as in rcc-run")
        text += f" (default: {one.default})" if one.default and one.name in HELP else ""
        switch: dict[str, Any] = {"action": "store_true"} if one.default is False else {"metavar": "VALUE"}
        made.add_argument(name, *aliases, dest=one.name, default=None, help=text, **switch)
    made.add_argument("--rcc-ephemeral", action="store_true", help=argparse.SUPPRESS)
    made.add_argument("--surface-nonzero-exit-code", nargs="?", const="true", help=argparse.SUPPRESS)
    return made


def parse(words: Sequence[str], environment: Mapping[str, str]) -> tuple[Arguments, list[Problem]]:
    """Return the options and all problems with them; only ``--help`` ends the program.

    Missing options are taken from ``BUILD_ID``, ``COMMIT_SHA`` and ``PROJECT_ID`` of the environment.
    """
    try:
        parsed, unknown = parser().parse_known_args(list(words))
    except _Wrong as wrong:
        return Arguments(), [Problem(WHERE, 1, str(wrong), "see --help")]
    problems = [_unknown(word) for word in unknown]
    values = {name: value for name, value in vars(parsed).items() if value is not None}
    surface = values.pop("surface_nonzero_exit_code", None)
    if values.pop("rcc_ephemeral"):
        values.setdefault("cluster_type", EPHEMERAL)
    values = {name: value for name, value in values.items() if value is not False}
    given = frozenset(values)
    for name, key in (("build_id", "BUILD_ID"), ("git_sha", "COMMIT_SHA"), ("project", "PROJECT_ID")):
        if not values.get(name):
            values[name] = environment.get(key, "")
    numbers = {one.name for one in fields(Arguments) if isinstance(one.default, int) and one.default is not False}
    for name in numbers & given:
        values[name] = _number(name, values[name], problems)
    arguments = Arguments(**values, given=given)
    problems += _errors(arguments) + _warnings(arguments, str(surface or ""))
    return arguments, problems


def _unknown(word: str) -> Problem:
    name = word.partition("=")[0]
    close = difflib.get_close_matches(name, [f"--{key.replace('_', '-')}" for key in HELP], 1, 0.75)
    hint = f"did you mean {close[0]}?" if close else "remove it; see --help"
    return Problem(WHERE, 1, f"unknown option {name}", hint)


def _number(name: str, text: str, problems: list[Problem]) -> int:
    if re.fullmatch(r"\d+", text):
        return int(text)
    problems.append(Problem(WHERE, 1, f"--{name.replace('_', '-')} is {text!r}", "write a whole number"))
    return 0


def _errors(given: Arguments) -> list[Problem]:
    """Return the problems that prevent the tests."""
    static = given.cluster_type == STATIC
    table = given.bq_dataset
    checks = (
        (not given.project, "--project is missing", "write --project=${PROJECT_ID}"),
        (
            given.cluster_type not in (EPHEMERAL, STATIC),
            f"--cluster-type is {given.cluster_type!r}",
            f"write {EPHEMERAL} or {STATIC}",
        ),
        (static and not given.rcc_controller, f"{STATIC} needs a controller", "add --rcc-controller=NAME"),
        (not ZONE.fullmatch(given.zone), f"--zone is {given.zone!r}", "write a zone such as us-west1-b"),
        (table and not TABLE.fullmatch(table), f"--bq_dataset is {table!r}", "write project:dataset.table"),
    )
    return [Problem(WHERE, 1, message, hint) for wrong, message, hint in checks if wrong]


def _warnings(given: Arguments, surface: str) -> list[Problem]:
    """Return the options that have no effect or contradict each other."""
    static, artifact, named = given.cluster_type == STATIC, given.artifact_type, "artifact_type" in given.given
    checks: list[tuple[object, str, str]] = [
        (name in given.given, f"--{name.replace('_', '-')} has no effect, as in rcc-run", "remove it") for name in IDLE
    ]
    checks += [
        (
            given.cluster_type == EPHEMERAL and given.rcc_controller,
            f"--rcc-controller has no effect with {EPHEMERAL}",
            f"add --cluster-type={STATIC}, or remove it",
        ),
        (static and "rcc_tfvars" in given.given, f"--rcc-tfvars has no effect with {STATIC}", "remove it"),
        (artifact not in ARTIFACTS, f"--artifact-type is {artifact!r}", f"known: {', '.join(ARTIFACTS)}"),
    ]
    for kind in ("docker", "singularity"):
        image, chosen = getattr(given, f"{kind}_image"), artifact == kind
        checks += [
            (
                named and image and not chosen,
                f"--{kind}-image contradicts --artifact-type={artifact}",
                "keep one of the two",
            ),
            (
                named and chosen and not image,
                f"--artifact-type={kind} has no --{kind}-image",
                f"add it; without it {kind.upper()}_IMAGE is not set",
            ),
        ]
    checks += [
        (
            surface and given.ignore_exit_code and surface.lower() != "false",
            "--surface-nonzero-exit-code and --ignore-exit-code contradict each other",
            "remove the former, which is ignored",
        ),
        (
            not given.build_id,
            "--build-id is missing",
            "write --build-id=${BUILD_ID}; otherwise the rows get a generated id",
        ),
    ]
    return [Problem(WHERE, 1, message, hint, Severity.WARNING) for wrong, message, hint in checks if wrong]
