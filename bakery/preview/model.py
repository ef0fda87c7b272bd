"""Decisions: what an ``up`` does with each image of a plan."""

from dataclasses import dataclass
from enum import StrEnum

from bakery.plan.summary import ImageSummary


class Action(StrEnum):
    """What an ``up`` does with an image."""

    KEEP = "keep"
    ADOPT = "adopt"
    BAKE = "bake"
    TEST = "test"


DONE = {Action.KEEP: "kept", Action.ADOPT: "adopted", Action.BAKE: "baked", Action.TEST: "tested only"}  # for people


def given_up(family: str, image: str) -> str:
    """Return the words for a family that will point at nothing, and now points at ``image``."""
    return f"{family} will point at nothing (now: {image}): no package of the plan makes it"


@dataclass(frozen=True)
class Decision:
    """An image of the plan, the action that will be taken, and the reasons in words.

    ``pin`` is the image that the settings hold the family at; empty if it follows its recipe.
    """

    image: ImageSummary
    action: Action
    reasons: tuple[str, ...] = ()
    pin: str = ""

    def __str__(self) -> str:
        return f"{DONE[self.action]}: {'; '.join(self.reasons)}" if self.reasons else DONE[self.action]
