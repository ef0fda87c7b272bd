"""The result of a Fluid-Run: stages, verdict, figures and jobs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from bakery.recipe.model import Metric


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
    """The verdict on the image. ERROR means that the infrastructure failed, not the image."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True)
class Figure:
    """The measured value of a metric; None if its pattern did not match."""

    metric: Metric
    value: float | None
    passed: bool


@dataclass(frozen=True)
class JobResult:
    """One job. ``row`` maps the names of rcc-run's ``app_runs`` fields to values; ``figures`` are the metrics."""

    row: Mapping[str, object]
    figures: tuple[Figure, ...] = ()
    passed: bool = False
    reason: str = ""


@dataclass(frozen=True)
class RunResult:
    """One Fluid-Run. ``timings`` maps stages that began to seconds; ``folder`` holds outputs and logs."""

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
