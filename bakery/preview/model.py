"""Decisions: what an ``up`` does with each image of a plan."""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from bakery.plan.summary import ImageSummary
from bakery.settings import Settings


class Action(StrEnum):
    """What an ``up`` does with an image."""

    KEEP = "keep"
    ADOPT = "adopt"
    BAKE = "bake"
    TEST = "test"


DONE = {Action.KEEP: "kept", Action.ADOPT: "adopted", Action.BAKE: "baked", Action.TEST: "tested only"}  # for people


def given_up(family: str, image: str) -> str:
    """Return the words for a family that will point at nothing, and now points at ``image``.

    No plan knows the engine's state: an ``up`` leaves the family if its promotion was taken out of that.
    """
    text = f"{family} will point at nothing (now: {image}): no package or channel of the plan makes it"
    return f"{text}; if an up leaves it: bakery recover --withdraw {family}"


def needs_approval(settings: Settings, family: str) -> bool:
    """Return whether an image of the family is promoted only after its approval."""
    return any(fnmatchcase(family, pattern) for pattern in settings.approval)


def channel_family(family: str, channel: str) -> str:
    """Return the family that a channel of the family is."""
    return f"{family}-{channel}"


class Target(NamedTuple):
    """The image that a family shall point at instead of its recipe's ("" for none), and why in words.

    ``waits`` is what the recipe's image waits for ("approval", "rollout"); otherwise the family is pinned.
    """

    image: str
    why: str
    waits: str = ""


class Channel(NamedTuple):
    """What an ``up`` does with a channel: the family ``name``, which gets images of the recipe's ``family``.

    ``source`` is the recipe's image ("" for none), ``image`` the channel's own with its content.
    """

    name: str
    family: str
    source: str
    image: str
    action: Action
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        moves = f"will point at {self.image}" if self.image else "will point at nothing"
        stays = f"points at {self.image}" if self.image else "points at nothing"
        return "; ".join((f"channel {self.name} {stays if self.action is Action.KEEP else moves}", *self.reasons))


class Copy(NamedTuple):
    """What an ``up`` does with the ``family`` of another project, which gets copies of the images of the same family.

    ``name`` is its address. ``image`` is the one that it will point at, "" for none.
    """

    name: str
    family: str
    project: str
    image: str
    action: Action
    reasons: tuple[str, ...] = ()

    def __str__(self) -> str:
        goal = self.image or "nothing"
        does = f"points at {goal}" if self.action is Action.KEEP else f"will point at a copy of {goal}"
        return "; ".join((f"{self.name} {does}", *self.reasons))


class Decision(NamedTuple):
    """An image of the plan, the action that will be taken, and the reasons in words.

    ``target`` is what the family shall point at; None if it follows its recipe.
    """

    image: ImageSummary
    action: Action
    reasons: tuple[str, ...] = ()
    target: Target | None = None

    def __str__(self) -> str:
        if self.image.taken:
            return f"{self.image.family}: {self.image.name} {'; '.join(self.reasons)}"
        return f"{DONE[self.action]}: {'; '.join(self.reasons)}" if self.reasons else DONE[self.action]
