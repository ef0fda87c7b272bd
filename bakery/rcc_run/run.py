"""One step: a Fluid-Run on Compute Engine from the options, with rows and files in the workspace."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from google.api_core import exceptions

from bakery.codec import encode
from bakery.errors import BakeryError, ImageRejected, InputError, Problem, Severity, errors_among
from bakery.fluid_run.base import Clusters
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.fluid_run.clusters.static import StaticClusters
from bakery.fluid_run.runner import run_image
from bakery.host.engine import stack_settings
from bakery.host.google import Google, api_errors
from bakery.library.base import ImageRecord
from bakery.library.compute_engine.bigquery import store_rows
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.rcc_run import cluster, outputs, workspace
from bakery.rcc_run.arguments import DEFAULT_TFVARS, EPHEMERAL, STATIC, WHERE, Arguments
from bakery.recipe.model import Suite, SuiteJob
from bakery.recipe.parse.findings import Findings
from bakery.results.model import RunResult
from bakery.settings import GoogleSettings, Settings, parse
from bakery.settings.google import Duty

STATE = ".fluid-run"  # in the workspace: keeps the machines' logs for later steps; it is not sent to a cluster
_IMAGE = re.compile(
    r"(?:https://(?:www|compute)\.googleapis\.com/compute/(?:v1|beta)/)?"
    r"(?:(?:projects/(?P<project>[a-z0-9.:-]+)/)?(?:global/)?images/)?(?P<family>family/)?(?P<name>[a-z][-a-z0-9]{0,62})"
)


@dataclass(frozen=True)
class PreparedRun:
    """Everything known before machines are made. ``jobs`` are those of the CI file; ``row`` is part of each row."""

    arguments: Arguments
    settings: Settings
    top: Path
    jobs: tuple[SuiteJob, ...]
    order: RunOrder
    image: ImageRecord
    row: Mapping[str, object]


def settings(given: Arguments, top: Path, stack: str) -> Settings:
    """Return the settings: those of the workspace's stack if one is named, overridden by the options."""
    base = stack_settings(top, stack).google if stack else GoogleSettings()
    accounts = {**base.accounts, **({Duty.TEST.value: given.service_account} if given.service_account else {})}
    google = base._replace(
        project=given.project,
        region=given.zone.rpartition("-")[0],
        zones=(given.zone,),
        subnetwork=_subnetwork(given) or base.subnetwork,
        accounts=accounts,
    )
    needed = {"project": google.project, "region": google.region}
    return replace(parse({"oven": "cloud-build", "state": STATE, "google": needed}, stack, top), google=google)


def _subnetwork(given: Arguments) -> str:
    """Return the path of the subnetwork for a link, a path or a name."""
    path = given.vpc_subnet.rpartition("/compute/v1/")[2]
    region = given.zone.rpartition("-")[0]
    return path if "/" in path or not path else f"projects/{given.project}/regions/{region}/subnetworks/{path}"


def prepare(given: Arguments, problems: list[Problem], here: Path, stack: str) -> PreparedRun:
    """Read and check everything without making anything. Raises InputError with all problems, Uncertain.

    Warnings are added to ``problems``.
    """
    top = workspace.root(here)
    findings = Findings(problems=problems)
    if stack and not (top / f"Pulumi.{stack}.yaml").is_file():
        findings.at(WHERE).error(1, f"Pulumi.{stack}.yaml does not exist", "fix BAKERY_STACK, or unset it")
    jobs = _jobs(given, here, top, findings)
    tested = _cluster(given, here, findings)
    _partitions(given, jobs, tested, problems)
    for name in ("singularity_image", "env_file"):
        path = getattr(given, name)
        if path and not (top / path).is_file():
            text = f"--{name.replace('_', '-')}: there is no file {path}"
            problems.append(Problem(WHERE, 1, text, "create it in an earlier step", Severity.WARNING))
    if errors := errors_among(problems):
        raise InputError(errors)
    made = settings(given, top, stack)
    found = _image(given, made)
    suite = Suite(tuple(_with_gpus(job, given) for job in jobs), tested.shape)
    return PreparedRun(given, made, top, jobs, _order(given, suite, found.name, top), found, tested.row)


def _image(given: Arguments, made: Settings) -> ImageRecord:
    """Return the tested image; for an existing cluster, a record with the controller's name."""
    if given.cluster_type == STATIC:
        return ImageRecord(given.rcc_controller, "", "", "", "", "")
    return look_up(given.gce_image, Google(made.google))


def look_up(text: str, google: Google) -> ImageRecord:
    """Return the image of ``--gce-image``: a link, a path or a name, of an image or of a family (its newest image).

    Raises InputError if it does not exist, and Uncertain.
    """
    match = _IMAGE.fullmatch(text)
    if match is None:
        hint = "write projects/PROJECT/global/images/NAME, or .../images/family/FAMILY"
        raise InputError([Problem(WHERE, 1, f"--gce-image is {text!r}", hint)])
    project, name = match["project"] or google.project, match["name"]
    try:
        with api_errors(f"look up the image {text}", reraise=(exceptions.NotFound,)):
            if match["family"]:
                image = google.read_compute(f"global/images/family/{name}", project)
            else:
                image = google.read_compute(f"global/images/{name}", project)
    except exceptions.NotFound as error:
        kind = "image family" if match["family"] else "image"
        missing = Problem(WHERE, 1, f"there is no {kind} {name} in {project}", "correct --gce-image")
        raise InputError([missing]) from error
    except BakeryError as error:
        error.hint = error.hint or "grant the account compute.images.get in the image's project"
        raise
    return ImageRecord(image["name"], "", "", "", "", image["creationTimestamp"], location=image["selfLink"])


def _jobs(given: Arguments, here: Path, top: Path, findings: Findings) -> tuple[SuiteJob, ...]:
    file = workspace.resolve(given.ci_file, here, top)
    if file is None:
        findings.at(WHERE).error(
            1, f"--ci-file: there is no file {given.ci_file}", "use a path that starts at the workspace"
        )
        return ()
    return workspace.tests(file, top, findings.at(given.ci_file))


def _cluster(given: Arguments, here: Path, findings: Findings) -> cluster.Tested:
    if given.cluster_type != EPHEMERAL:
        return cluster.Tested(cluster.UNKNOWN)
    if given.rcc_tfvars == DEFAULT_TFVARS:
        return cluster.read(None, given, findings)
    file = workspace.resolve(given.rcc_tfvars, here, workspace.root(here))
    if file is None:
        findings.at(WHERE).error(1, f"--rcc-tfvars: there is no file {given.rcc_tfvars}", "use an existing path")
    return cluster.read(file, given, findings.at(given.rcc_tfvars))


def _partitions(given: Arguments, jobs: tuple[SuiteJob, ...], tested: cluster.Tested, problems: list[Problem]) -> None:
    known = [part.name for part in tested.shape.partitions]
    if given.cluster_type == STATIC:
        return
    for name in dict.fromkeys(job.partition for job in jobs if job.partition and job.partition not in known):
        hint = f"known: {', '.join(known)}; add it to --rcc-tfvars"
        problems.append(Problem(given.ci_file, 1, f"the cluster has no partition {name}", hint))


def _with_gpus(job: SuiteJob, given: Arguments) -> SuiteJob:
    """Return the job with --gpu-count appended to its options, as in rcc-run."""
    if not given.gpu_count:
        return job
    return replace(job, batch_options=f"{job.batch_options} --gres=gpu:{given.gpu_count}".strip())


def _order(given: Arguments, suite: Suite, name: str, top: Path) -> RunOrder:
    counted = {name: value for name, value in encode(suite).items() if name != "upgrade"}  # rcc-run has no such tests
    digest = hashlib.sha256(json.dumps(counted, sort_keys=True).encode()).hexdigest()
    env = {"GCE_IMAGE": given.gce_image, **({"DOCKER_IMAGE": given.docker_image} if given.docker_image else {})}
    paths = {"SINGULARITY_IMAGE": given.singularity_image, "ENV_FILE": given.env_file}
    return RunOrder(
        image=name,
        digest=digest,
        package="",
        variant="",
        suite=suite,
        files=workspace.files(top),
        git_sha=given.git_sha,
        compiler=given.compiler,
        target_arch=given.target_arch,
        env=env,
        env_paths={name: path for name, path in paths.items() if path},
        ignore_dependencies=given.ignore_job_dependencies,
    )


def run(step: PreparedRun, activity: Activity) -> RunResult:
    """Run the tests; rows and files are in their places when it returns.

    Raises what :func:`bakery.fluid_run.runner.run_image` raises except ImageRejected if jobs failed: their exit codes
    are in the result.
    """
    given, google = step.arguments, Google(step.settings.google)
    results: list[RunResult] = []
    failure: BakeryError | None = None
    clusters: Clusters = ComputeEngineClusters(step.settings, google)
    if given.cluster_type == STATIC:
        clusters = StaticClusters(step.settings, given.rcc_controller, given.zone)
    state = StatePaths(step.settings.state)
    try:
        # No library records the verdict: these are not the tests of the image's recipe.
        run_image(step.order, step.image, clusters, state, activity, record=results.append)
    except BakeryError as error:
        failure = error
    result = results[-1] if results else None
    if result is not None and result.jobs:
        found = outputs.rows(result, given, step.jobs, step.row)
        outputs.write(step.top, result, found, step.jobs, given)
        if given.save_results:
            store_rows(google, given.table, found, result.run_id)
    if failure is not None and not (isinstance(failure, ImageRejected) and result is not None and result.jobs):
        failure.replay = ""  # the step itself
        raise failure
    assert result is not None
    return result
