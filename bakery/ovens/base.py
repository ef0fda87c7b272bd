"""The protocol of ovens, which bake images."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bakery.orders.model import BakeOrder
from bakery.progress.activity import Activity


class BakeOutcome(StrEnum):
    """How a bake obtained the image."""

    BAKED = "baked"
    ADOPTED = "adopted"
    JOINED = "joined"


@dataclass(frozen=True)
class Bake:
    """A finished bake: the image ``name`` is in the library as a candidate. ``seconds`` is wall time."""

    name: str
    outcome: BakeOutcome
    seconds: float
    log: Path | str | None = None


@dataclass(frozen=True)
class DebugTerms:
    """How a bake is looked into: its machine may run for ``seconds`` after it.

    ``stop`` names the provisioner before which it ends, by its number or words; "" if it ends where it fails.
    """

    seconds: int
    stop: str = ""


class Oven(Protocol):
    """Bakes images, at most once per digest: a running bake is joined, and an existing image is adopted."""

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """Adopt, join or bake the image of ``order``, and publish it atomically as a candidate.

        Raises BakeFailed (the recipe is at fault), InfrastructureFailed (it is not), MissingTool, Interrupted. In every
        case no incomplete image, machine, port or lock remains.
        """
