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
class Target:
    """The image that a family shall point at instead of its recipe's ("" for none), and why in words.

    ``waits`` is whether the recipe's image waits for an approval; otherwise the family is pinned.
    """

    image: str
    why: str
    waits: bool = False


@dataclass(frozen=True)
class Decision:
    """An image of the plan, the action that will be taken, and the reasons in words.

    ``target`` is what the family shall point at; None if it follows its recipe.
    """

    image: ImageSummary
    action: Action
    reasons: tuple[str, ...] = ()
    target: Target | None = None

    def __str__(self) -> str:
        return f"{DONE[self.action]}: {'; '.join(self.reasons)}" if self.reasons else DONE[self.action]
