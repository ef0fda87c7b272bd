"""One Fluid-Run from order to verdict: fixed stages, every result stored, the cluster torn down in every path."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from bakery import paths
from bakery.errors import BakeryError, ImageRejected, InfrastructureFailed, Uncertain
from bakery.fluid_run import rows, verdict
from bakery.fluid_run.base import AgentStatus, Cluster, Clusters
from bakery.fluid_run.clusters.mailbox import read_results
from bakery.fluid_run.clusters.run_spec import deadline_seconds
from bakery.fluid_run.log_tails import console_tail, job_tail
from bakery.fluid_run.progress import phase
from bakery.host import locks
from bakery.host.clock import utc_now
from bakery.library.base import ImageRecord, Library, Proof
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.progress.activity import Activity
from bakery.recipe.model import Json
from bakery.recipe.stage import stage
from bakery.results.json import store_run
from bakery.results.model import JobResult, RunResult, Stage, Verdict

TRIES = 2  # clusters that may break before the run is given up
START_SECONDS = 900.0  # the host's own limit, above that of the agents: for machines that never say a word
UNANSWERED_SECONDS = 900.0  # of a cluster that can't be asked, before its run is given up
POLL_SECONDS = 0.25


def _nothing(_given: object) -> None:
    """For callers that read results where they are stored and keep no cluster."""


def run(
    order: RunOrder,
    library: Library,
    clusters: Clusters,
    state: StatePaths,
    activity: Activity,
    *,
    stack: str = "dev",
    told: Callable[[RunResult], None] = _nothing,
    hold: Callable[[Cluster], None] = _nothing,
) -> RunResult:
    """Test an image of the library as :func:`run_image` does, and record each run and the verdict in the library.

    ``told`` is called with each result, including that of a failed try, before the library records it.
    """
    image = library.find(order.image)
    if image is None:
        raise InfrastructureFailed(f"the image {order.image} is not in the library", hint="run: pulumi refresh")

    def record(result: RunResult) -> None:
        """Record the run first and the verdict last, so that every verdict has its run."""
        told(result)
        library.record_run(result)
        if result.verdict is not Verdict.ERROR:
            proof = Proof.PASSED if result.verdict is Verdict.PASSED else Proof.FAILED
            library.record_test(order.image, proof, order.digest)

    with library.lease(order.image):
        return run_image(order, image, clusters, state, activity, record=record, stack=stack, hold=hold)


def run_image(
    order: RunOrder,
    image: ImageRecord,
    clusters: Clusters,
    state: StatePaths,
    activity: Activity,
    *,
    record: Callable[[RunResult], None],
    stack: str = "dev",
    hold: Callable[[Cluster], None] = _nothing,
) -> RunResult:
    """Run the tests of ``order`` on a new cluster that boots from ``image``; judge and store the results.

    ``record`` is called with every result, including that of a failed try, after it was stored in its folder.
    ``hold`` may keep the cluster up after all results were collected; the cluster is torn down when it returns.
    ``stack`` is only used in the command that replays the run. Raises ImageRejected, InfrastructureFailed (after a
    second try), InputError (files changed since the plan) or Interrupted, each after the result was recorded.
    """
    for attempt in range(1, TRIES + 1):
        try:
            return _Run(order, image, clusters, state, activity, record, stack, hold).go()
        except InfrastructureFailed:
            if attempt == TRIES or activity.cancelled.is_set():
                raise
            activity.say("testing: the cluster broke, trying again with a new one")
    raise AssertionError("not reached")


def new_run_id(image: str) -> str:
    """A name that no other run has."""
    return f"{image}-{datetime.now(UTC):%Y%m%d%H%M%S}-{secrets.token_hex(2)}"


class StageClock:
    """Which stage a run is in, and the seconds that each took."""

    def __init__(self) -> None:
        self.timings: dict[Stage, float] = {}
        self.stage: Stage | None = None
        self.failed: Stage | None = None
        self._began = 0.0

    def fail(self) -> None:
        """Keep the running stage as the one that failed."""
        self.failed = self.stage

    def enter(self, stage: Stage) -> None:
        """Begin a stage, unless it is the one that runs; the one before ends."""
        if stage is self.stage:
            return
        now = time.monotonic()
        if self.stage is not None:
            self.timings[self.stage] = self.timings.get(self.stage, 0.0) + now - self._began
        self.stage, self._began = stage, now
        self.timings.setdefault(stage, 0.0)

    def rounded(self) -> dict[str, float]:
        """Seconds by stage name, the running stage's so far included."""
        so_far = {**self.timings}
        if self.stage is not None:
            so_far[self.stage] += time.monotonic() - self._began
        return {stage.value: round(seconds, 2) for stage, seconds in so_far.items()}


@dataclass
class _Run:
    """One cluster's life."""

    order: RunOrder
    image: ImageRecord
    made: Clusters
    state: StatePaths
    activity: Activity
    record: Callable[[RunResult], None]
    stack: str
    hold: Callable[[Cluster], None]
    clock: StageClock = field(default_factory=StageClock)
    jobs: tuple[JobResult, ...] = ()

    def go(self) -> RunResult:
        """All stages; stores what came out, whatever it is."""
        self.run_id = new_run_id(self.order.image)
        self.started = utc_now()
        self.folder = self.state.runs / self.run_id
        self.folder.mkdir(parents=True)
        failure: BakeryError | None = None
        try:
            self._with_cluster()
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
        if failure is not None:
            raise failure
        return result

    def _with_cluster(self) -> None:
        workspace = self.state.work / f"{paths.WORKSPACE}{self.run_id}"
        workspace.mkdir(parents=True)
        locks.sign(workspace, f"Fluid-Run {self.run_id}")
        try:
            tree = workspace / "tree"
            tree.mkdir()
            stage(self.order.files, tree)
            cluster = self.made.cluster(self.run_id, self.image, self.order, tree)
            self._stages(cluster)
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    def _stages(self, cluster: Cluster) -> None:
        collected = False
        try:
            self.clock.enter(Stage.PROVISION)
            cluster.provision(self.activity)
            status = self._follow(cluster)
            self.clock.enter(Stage.COLLECT)
            cluster.collect(self.folder)
            collected = True
            found = read_results(self.folder)
            self.jobs = self._judged(found["jobs"]) if found else ()
            if status.error:
                raise self._broken(status)
            self.clock.enter(Stage.JUDGE)
            self._judge(found)
        except BaseException:
            self.clock.fail()
            raise
        finally:
            self.clock.enter(Stage.TEAR_DOWN)
            try:
                if not collected:
                    cluster.collect(self.folder)
                self.hold(cluster)
                self.activity.say("testing: tearing down")
            finally:
                cluster.tear_down()

    def _follow(self, cluster: Cluster) -> AgentStatus:
        """Watch the agent until it ends; raises InfrastructureFailed when it takes too long or is not seen."""
        self.clock.enter(Stage.START)
        began = answered = time.monotonic()
        limit = START_SECONDS + deadline_seconds(self.order) + cluster.queue_seconds
        while True:
            try:
                status = cluster.status()
            except Uncertain as error:
                if time.monotonic() - answered > UNANSWERED_SECONDS:
                    raise
                self.activity.say(f"testing: the run goes on, but it is not seen: {error.message}")
                self.activity.sleep(POLL_SECONDS)
                continue
            answered = time.monotonic()
            if status.ended or status.error:
                return status
            self.clock.enter(status.stage)
            self.activity.say(phase(status))
            waited = time.monotonic() - began
            silent = status.stage is Stage.START and status.nodes_total == 0 and waited > START_SECONDS
            if silent or waited > limit:
                what = "no machine said a word" if silent else "the jobs did not end"
                raise InfrastructureFailed(f"{what} within {waited:.0f} s")
            self.activity.sleep(POLL_SECONDS)

    def _broken(self, status: AgentStatus) -> BakeryError:
        text = f"{self.order.image}: {status.error}"
        tail = console_tail(self.folder)
        if status.image_fault:
            return ImageRejected(text, tail=tail)
        return InfrastructureFailed(text, tail=tail)

    def _judged(self, account: Sequence[Mapping[str, Json]]) -> tuple[JobResult, ...]:
        """Every job by itself; ``account`` is the agent's."""
        judged = []
        for job, raw in zip(self.order.suite.jobs, account, strict=True):
            place = self.folder / "outputs" / job.output_directory
            judged.append(verdict.judge(job, rows.row(self.order, job, raw, place), raw, partial(rows.text, place)))
        return tuple(judged)

    def _judge(self, found: Mapping[str, Json] | None) -> None:
        if found is None:
            raise InfrastructureFailed("the cluster brought no results back")
        if any(raw.get("lost") for raw in found["jobs"]):
            raise InfrastructureFailed(f"{self.order.image}: a node was lost", tail=console_tail(self.folder))
        wrong = verdict.summary(self.jobs)
        if wrong:
            raise ImageRejected(f"{self.order.image}: {wrong}", tail=job_tail(self.jobs))

    def _result(self, failure: BakeryError | None) -> RunResult:
        said = Verdict.PASSED if failure is None else Verdict.ERROR
        if isinstance(failure, ImageRejected):
            said = Verdict.FAILED
        return RunResult(
            run_id=self.run_id,
            image=self.order.image,
            tests_digest=self.order.digest,
            verdict=said,
            started=self.started,
            jobs=self.jobs,
            timings=self.clock.rounded(),
            failed_stage=self.clock.failed or self.clock.stage if failure else None,
            reason=failure.message if failure else "",
            folder=self.folder,
        )
