"""The points of the campaign: what is struck, with what, in which phase. They are drawn from a seed.

``CHAOS_SEED=<n>`` sets the seed, else it comes from the commit; ``CHAOS_POINTS=<first>-<last>`` the points that run.
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from tests.support.root import ROOT

UP = ("plan", "bake", "test", "promote", "save")
PHASES = (*UP, "destroy")
SIGNALS = ("SIGKILL", "SIGINT", "SIGTERM")
PROCESSES = {
    "make": PHASES,
    "guard": PHASES,
    "engine": PHASES,
    "plugin": PHASES,
    "language host": UP,
    "program": UP,
    "all": PHASES,
    "packer": ("bake",),
    "guard of packer": ("bake",),
}
FAULTS = {
    "disk of the library": (("full",), ("bake", "test", "promote")),
    "disk of the engine": (("full",), ("bake", "test", "save")),
    "database": (("locked", "torn", "lost"), ("bake", "test", "promote")),
    "clock": (("a day on", "a day back"), ("bake", "test", "promote")),
}
IN_CI = 15


@dataclass(frozen=True)
class Point:
    """What is struck and when; ``share`` (0 to 1) is the moment in the phase.

    ``target`` is a process or the place of a fault, ``blow`` a signal or the fault. With ``fresh`` the stack is a new
    one; else its images exist, and two of the three have changed.
    """

    number: int
    target: str
    blow: str
    phase: str
    share: float
    fresh: bool

    @property
    def slow(self) -> bool:
        """Whether the disk stays full, so that the engine tries for minutes to save its state."""
        return self.target.startswith("disk") and self.share >= 0.5

    def __str__(self) -> str:
        start = "fresh" if self.fresh else "changed"
        return f"{self.number}-{self.target}-{self.blow}-{self.phase}-{start}-{self.share:.2f}".replace(" ", "_")


@cache
def seed() -> int:
    """Return the seed of this campaign: the one that is set, else the first digits of the commit."""
    if given := os.environ.get("CHAOS_SEED"):
        return int(given)
    command = ["git", "rev-parse", "--short=8", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return int(done.stdout.strip() or "0", 16)


def chosen() -> list[Point]:
    """Return the points that this run of the tests strikes."""
    first, _, last = os.environ.get("CHAOS_POINTS", "").partition("-")
    if not first:
        return [point for point in points(seed(), 2 * IN_CI) if not point.slow][:IN_CI]
    return points(seed(), int(last or first) + 1)[int(first) :]


def points(start: int, count: int) -> list[Point]:
    """Return the first points of a seed. Every kind has its turn before one comes again, at another moment."""
    dice, drawn, kinds = random.Random(start), [], list(combinations())
    while len(drawn) < count:
        dice.shuffle(kinds)
        for target, blow, phase in kinds:
            fresh = phase != "destroy" and dice.random() < 0.5
            drawn.append(Point(len(drawn), target, blow, phase, dice.random(), fresh))
    return drawn[:count]


def combinations() -> Iterator[tuple[str, str, str]]:
    """Yield every target with every blow in every phase."""
    for target, phases in PROCESSES.items():
        yield from ((target, blow, phase) for blow in SIGNALS for phase in phases)
    for target, (blows, phases) in FAULTS.items():
        yield from ((target, blow, phase) for blow in blows for phase in phases)
