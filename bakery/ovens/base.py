"""What an oven is: the protocol that local, Cloud Build and fake ovens implement."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from bakery.orders.model import BakeOrder
from bakery.progress.activity import Activity


class BakeOutcome(StrEnum):
    """How a candidate came to be."""

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


class Oven(Protocol):
    """Bakes images. One bake a digest at a time, ever: a running one is joined, a finished one adopted."""

    def bake(self, order: BakeOrder, activity: Activity) -> Bake:
        """Adopt, join or bake the image of ``order``, and publish it atomically as a candidate.

        Raises BakeFailed (the recipe), InfrastructureFailed (the surroundings), MissingTool, Interrupted. Whatever
        happens, no half image, machine, port or lock is left behind.
        """
