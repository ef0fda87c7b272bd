"""What a test cluster is, and what a Fluid-Run gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bakery.library.base import ImageRecord
from bakery.progress.activity import Activity
from bakery.recipe.model import Metric, SourceFile, Suite


class Stage(StrEnum):
    """The fixed stages of a Fluid-Run, in order; TEAR_DOWN always runs."""

    PROVISION = "provision"
    START = "start"
    SUBMIT = "submit"
    RUN = "run"
    COLLECT = "collect"
    JUDGE = "judge"
    TEAR_DOWN = "tear down"


class Verdict(StrEnum):
    """What the run says of the image. ERROR is the infrastructure's, never the image's."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True)
class TestOrder:
    """All that a Fluid-Run needs; written by the program as ``<state>/orders/<image>-<tests digest>.json``.

    ``env`` is added to the environment of the jobs; ``env_paths`` too, its values are paths below the workspace. With
    ``ignore_dependencies`` the jobs of a command group do not wait for each other.
    """

    __test__ = False  # not a pytest class

    image: str
    digest: str
    package: str
    variant: str
    suite: Suite
    files: tuple[SourceFile, ...]
    git_sha: str
    compiler: str
    target_arch: str
    env: Mapping[str, str] = field(default_factory=dict)
    env_paths: Mapping[str, str] = field(default_factory=dict)
    ignore_dependencies: bool = False


@dataclass(frozen=True)
class Figure:
    """One metric as it came out. ``value`` is None when the pattern did not match."""

    metric: Metric
    value: float | None
    passed: bool


@dataclass(frozen=True)
class JobResult:
    """One job. ``row`` holds rcc-run's ``app_runs`` fields by their names; ``figures`` the metrics."""

    row: Mapping[str, object]
    figures: tuple[Figure, ...] = ()
    passed: bool = False
    reason: str = ""


@dataclass(frozen=True)
class RunResult:
    """One Fluid-Run. ``timings`` has the seconds of every stage that began; ``folder`` holds outputs and logs."""

    run_id: str
    image: str
    tests_digest: str
    verdict: Verdict
    started: str
    jobs: tuple[JobResult, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    failed_stage: Stage | None = None
    reason: str = ""
    folder: Path | str | None = None


@dataclass(frozen=True)
class AgentStatus:
    """What the agent last said: its stage, jobs done and in all, nodes idle and in all; ``ended`` at its end.

    ``error`` is why it gave up, ``image_fault`` whether every cluster from this image would end so.
    """

    stage: Stage
    jobs_done: int = 0
    jobs_total: int = 0
    nodes_ready: int = 0
    nodes_total: int = 0
    ended: bool = False
    error: str = ""
    image_fault: bool = False


class Cluster(Protocol):
    """One ephemeral cluster. The runner calls the methods in this order, and ``tear_down`` in every path.

    ``queue_seconds`` is how long the jobs may wait for nodes that are not the run's alone.
    """

    queue_seconds: float

    def provision(self, activity: Activity) -> None:
        """Make and start the machines. Raises InfrastructureFailed."""
        ...

    def status(self) -> AgentStatus:
        """What the agent on the controller last said; raises BakeryError when the cluster is dead."""
        ...

    def collect(self, folder: Path) -> None:
        """Bring ``results.json``, job outputs and machine logs into ``folder``; as much as there is."""
        ...

    def logins(self) -> Sequence[str]:
        """For a cluster whose machines have an open shell: how to log in to each, a line each."""
        ...

    def tear_down(self) -> None:
        """End all machines and take away their disks; idempotent; never raises for what is gone already."""
        ...


class Clusters(Protocol):
    """Makes clusters: local QEMU machines, Compute Engine instances, a static cluster, a fake."""

    def cluster(self, run_id: str, image: ImageRecord, order: TestOrder, workspace: Path) -> Cluster:
        """A cluster for one run, not yet provisioned; ``workspace`` is the staged folder the jobs see."""
        ...
