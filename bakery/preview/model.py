"""What an ``up`` does with each image of a plan, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bakery.errors import Problem
from bakery.plan.model import ImageSummary
from bakery.preview.forecast import Forecast, forecast


class Action(StrEnum):
    """What an ``up`` does with an image."""

    KEEP = "keep"
    ADOPT = "adopt"
    BAKE = "bake"
    TEST = "test"


DONE = {Action.KEEP: "kept", Action.ADOPT: "adopted", Action.BAKE: "baked", Action.TEST: "tested only"}  # for people


@dataclass(frozen=True)
class Decision:
    """An image of the plan with what will be done to it and the reasons, in words."""

    image: ImageSummary
    action: Action
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{DONE[self.action]}: {'; '.join(self.reasons)}" if self.reasons else DONE[self.action]


@dataclass(frozen=True)
class PlanReport:
    """What will be done, what is wrong, and how long it will take.

    ``times``: family to seconds of its last bake. ``since``: the revision that it was compared with, not the library.
    """

    decisions: tuple[Decision, ...]
    problems: tuple[Problem, ...] = ()
    times: Mapping[str, float] = field(default_factory=dict)
    since: str = ""

    @property
    def forecast(self) -> Forecast:
        """The time of the bakes."""
        return forecast(self.decisions, self.times)
