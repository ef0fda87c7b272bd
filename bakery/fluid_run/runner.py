"""One Fluid-Run from order to verdict, in fixed stages; every result is stored, every cluster is torn down."""

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from bakery import paths
from bakery.errors import BakeryError, ImageRejected, InfrastructureFailed, LimitReached, Uncertain
from bakery.fluid_run import profile, rows, upgrade, verdict
from bakery.fluid_run.base import AgentStatus, Cluster, Clusters
from bakery.fluid_run.clusters.mailbox import read_results
from bakery.fluid_run.clusters.run_spec import deadline_seconds
from bakery.fluid_run.progress import StageClock, console_tail, job_tail, phase
from bakery.host import locks
from bakery.host.clock import now, utc_now
from bakery.host.files import discard
from bakery.host.propagation import patiently
from bakery.library.base import ImageRecord, Library, Proof
from bakery.library.versions import to_labels
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity, growing_pause
from bakery.recipe.model import Json
from bakery.recipe.stage import stage
from bakery.results.json import store_run
from bakery.results.model import JobResult, RunResult, Stage, Verdict

TRIES = 2  # the number of clusters for one run if the infrastructure fails
START_SECONDS = 900.0  # until a machine must report; above the limit of the agents, for machines that never report
UNANSWERED_SECONDS = 900.0  # without an answer about the status before the run is given up


def new_run_id(image: str) -> str:
    """Return an ID for a run on a cluster of the image, which begins with its name and the time."""
    return f"{image}-{now():%Y%m%d%H%M%S}-{secrets.token_hex(2)}"


def _nothing(_given: object) -> None:
    """Do nothing: the default of callbacks."""


def run(
    order: RunOrder,
    library: Library,
    clusters: Clusters,
    state: StatePaths,
    activity: Activity,
    *,
    image: ImageRecord | None = None,
    stack: str = "dev",
    on_result: Callable[[RunResult], None] = _nothing,
    hold: Callable[[Cluster], None] = _nothing,
    proves: str = "",
) -> RunResult:
    """Test an image of the library as :func:`run_image` does, and record each run and the verdict in the library.

    ``on_result`` is called with each result, including that of a failed try, before the library records it. ``image``
    is the image of ``order`` if the caller has just read it. The verdict is that of the tests with the digest
    ``proves``, if the tests of ``order`` only confirm them.
    """
    image = image or library.find(order.image)
    if image is None:
        hint = "run `pulumi up` without --target and --exclude, which bakes it"
        raise InfrastructureFailed(f"the image {order.image} is not in the library", hint=hint)

    def record(result: RunResult) -> None:
        """Record the run first and the verdict last, so that every verdict has its run."""
        on_result(result)
        patiently(state.grants, activity, partial(library.record_run, result))
        if result.verdict is not Verdict.ERROR:
            proof = Proof.PASSED if result.verdict is Verdict.PASSED else Proof.FAILED
            record_test = partial(library.record_test, order.image, proof, proves or order.digest, _found(result))
            patiently(state.grants, activity, record_test)

    with ExitStack() as leases:
        leases.enter_context(library.lease(order.image))
        present = patiently(state.grants, activity, lambda: upgrade.present_image(order, image, library, activity))
        if present is not None:
            leases.enter_context(library.lease(present.name))
        return run_image(
            order, image, clusters, state, activity, record=record, present=present, stack=stack, hold=hold
        )


def _found(result: RunResult) -> dict[str, str]:
    """Return the labels with the versions that the agent found on the image; none if it sent no results."""
    results = read_results(Path(result.folder)) if result.folder else None
    return to_labels((results or {}).get("versions") or {})


def run_image(
    order: RunOrder,
    image: ImageRecord,
    clusters: Clusters,
    state: StatePaths,
    activity: Activity,
    *,
    record: Callable[[RunResult], None],
    present: ImageRecord | None = None,
    stack: str = "dev",
    hold: Callable[[Cluster], None] = _nothing,
) -> RunResult:
    """Run the tests of ``order`` on a new cluster that boots from ``image``; judge and store the results.

    If ``present`` is given and the tests passed, a cluster of that image is upgraded to ``image``.
    ``record`` is called with every result, including that of a failed try, after it was stored in its folder.
    ``hold`` may keep the last cluster up after all results were collected; it is torn down when that returns.
    ``stack`` is only used in the command that replays the run. Raises ImageRejected, InfrastructureFailed (after a
    second try), InputError (files changed since the plan) or Interrupted, each after the result was recorded.
    """
    for attempt in range(1, TRIES + 1):
        result, failure = _Run(order, image, present, clusters, state, activity, record, stack, hold).go()
        if failure is None:
            return result
        if not isinstance(failure, InfrastructureFailed) or attempt == TRIES or activity.cancelled.is_set():
            raise failure
        activity.say("testing: the cluster failed, trying again with a new one")
    raise AssertionError("not reached")


@dataclass(frozen=True)
class _Part:
    """What a run does on one cluster: ``order`` with its results in ``folder``, an upgrade if there is ``present``."""

    run_id: str
    order: RunOrder
    folder: Path
    last: bool
    present: ImageRecord | None = None


@dataclass
class _Run:
    """One try of a run on one cluster, or two with an upgrade."""

    order: RunOrder
    image: ImageRecord
    present: ImageRecord | None
    clusters: Clusters
    state: StatePaths
    activity: Activity
    record: Callable[[RunResult], None]
    stack: str
    hold: Callable[[Cluster], None]
    clock: StageClock = field(default_factory=StageClock)
    jobs: tuple[JobResult, ...] = ()
    failed_stage: Stage | None = None

    def go(self) -> tuple[RunResult, BakeryError | None]:
        """Run all stages and store the result, also that of a failure, which is returned; raise what storing raises."""
        self.run_id = new_run_id(self.order.image)
        self.started = utc_now()
        self.folder = self.state.runs / self.run_id
        self.folder.mkdir(parents=True)
        failure: BakeryError | None = None
        try:
            self._parts()
        except LimitReached:  # nothing ran
            discard(self.folder)
            raise
        except BakeryError as error:
            failure = error
        except OSError as error:
            hint = "check the free space and the permissions of the state folder"
            failure = InfrastructureFailed(f"Fluid-Run: {error}", hint=hint)
        if isinstance(failure, (ImageRejected, InfrastructureFailed)):
            failure.log = failure.log or self.folder
            failure.replay = failure.replay or f"bakery test {self.order.image} --stack {self.stack}"
        result = self._result(failure)
        store_run(result, self.record)
        return result, failure

    def _parts(self) -> None:
        self._with_cluster(_Part(self.run_id, self.order, self.folder, last=self.present is None))
        if self.present is not None:
            order = upgrade.upgrade_order(self.order, self.present)
            folder = self.folder / "upgrade"
            folder.mkdir()
            self._with_cluster(_Part(f"{self.run_id}-upgrade", order, folder, last=True, present=self.present))

    def _with_cluster(self, part: _Part) -> None:
        profile.check(part.order.suite.cluster, part.present or self.image)
        workspace = self.state.work / f"{paths.WORKSPACE}{part.run_id}"
        workspace.mkdir(parents=True)
        locks.sign(workspace, f"Fluid-Run {part.run_id}")
        try:
            tree = workspace / "tree"
            tree.mkdir()
            stage(part.order.files, tree)
            if part.present is not None:
                upgrade.write_script(tree)
            cluster = self.clusters.cluster(part.run_id, self.image, part.order, tree, part.present)
            self._stages(cluster, part)
        finally:
            discard(workspace)

    def _stages(self, cluster: Cluster, part: _Part) -> None:
        collected = judged = False
        try:
            self.clock.enter(Stage.PROVISION)
            cluster.provision(self.activity)
            status = self._follow(cluster, part)
            self.clock.enter(Stage.COLLECT)
            cluster.collect(part.folder)
            collected = True
            results = read_results(part.folder)
            self.jobs += self._judge_jobs(part, results) if results else ()
            if part.present is None and status.error:
                kind = ImageRejected if status.image_fault else InfrastructureFailed
                raise kind(f"{self.order.image}: {status.error}")
            self.clock.enter(Stage.JUDGE)
            self._judge(part, status, results)
            judged = True
        except BaseException as error:
            self.failed_stage = self.clock.stage
            if not collected:
                cluster.collect(part.folder)
            cluster.collect_consoles(part.folder)
            if isinstance(error, (ImageRejected, InfrastructureFailed)):
                error.tail = error.tail or console_tail(part.folder)
            raise
        finally:
            self.clock.enter(Stage.TEAR_DOWN)
            try:
                if part.last or not judged:
                    self.hold(cluster)
                self.activity.say("testing: tearing down")
            finally:
                cluster.tear_down()

    def _follow(self, cluster: Cluster, part: _Part) -> AgentStatus:
        """Follow the agent until it ends. Raises InfrastructureFailed if it takes too long or cannot be observed."""
        self.clock.enter(Stage.START)
        began = answered = time.monotonic()
        limit = START_SECONDS + deadline_seconds(part.order) + cluster.queue_seconds
        replaced = ""
        while True:
            try:
                status = cluster.status()
            except Uncertain as error:
                if time.monotonic() - answered > UNANSWERED_SECONDS:
                    raise
                self.activity.say(f"testing: the run continues, but its status is unknown: {error.message}")
                self.activity.sleep(growing_pause(cluster.poll_seconds, time.monotonic() - began))
                continue
            answered = time.monotonic()
            if status.ended or status.error:
                return replace(status, reimage=replaced)  # the status of a node that failed does not say it
            self.clock.enter(status.stage)
            self.activity.say(phase(status))
            if status.reimage != replaced:
                replaced = status.reimage
                cluster.reimage(replaced, self.activity)
            waited = time.monotonic() - began
            silent = status.stage is Stage.START and status.nodes_total == 0 and waited > START_SECONDS
            if silent or waited > limit:
                what = "no machine reported anything" if silent else "the jobs did not end"
                raise InfrastructureFailed(f"{what} within {waited:.0f} s")
            self.activity.sleep(growing_pause(cluster.poll_seconds, waited))

    def _judge_jobs(self, part: _Part, results: Mapping[str, Json]) -> tuple[JobResult, ...]:
        judged = []
        for job, raw in zip(part.order.suite.jobs, results["jobs"], strict=True):
            folder = part.folder / "outputs" / job.output_directory
            judged.append(verdict.judge(job, rows.row(part.order, job, raw, folder), raw, partial(rows.text, folder)))
        return tuple(judged)

    def _judge(self, part: _Part, status: AgentStatus, results: Mapping[str, Json] | None) -> None:
        """Judge the run. Raises InfrastructureFailed or ImageRejected."""
        if part.present is not None:
            failure = upgrade.failure(part.order, part.present, status, results, part.folder)
            if failure is not None:
                raise failure
        if results is None:
            raise InfrastructureFailed("the cluster returned no results")
        if any(raw.get("lost") for raw in results["jobs"]):
            raise InfrastructureFailed(f"{self.order.image}: a node was lost")
        if failed := verdict.summary(self.jobs):
            raise ImageRejected(f"{self.order.image}: {failed}", tail=job_tail(self.jobs))

    def _result(self, failure: BakeryError | None) -> RunResult:
        outcome = Verdict.PASSED if failure is None else Verdict.ERROR
        if isinstance(failure, ImageRejected):
            outcome = Verdict.FAILED
        return RunResult(
            run_id=self.run_id,
            image=self.order.image,
            tests_digest=self.order.digest,
            verdict=outcome,
            started=self.started,
            jobs=self.jobs,
            timings=self.clock.rounded(),
            failed_stage=self.failed_stage or self.clock.stage if failure else None,
            reason=failure.message if failure else "",
            folder=self.folder,
        )
