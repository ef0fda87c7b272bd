"""Where a bake stops for its user, before one of its provisioners: what ends it there, and what it says then."""

import re
from collections.abc import Sequence

from bakery.errors import BakeStopped, InputError, Problem
from bakery.recipe.model import Json

STOP = "bakery-stop"
_REACHED = re.compile(rf"(?<!echo ){STOP} (\d+)\b")


def provisioner(number: int) -> Json:
    """Return a provisioner that ends a bake before the one with the number, from 1 on, in a way that is recognised."""
    return {"type": "shell-local", "inline": [f"echo {STOP} {number}", "exit 1"]}


def reached(output: str, named: Sequence[str]) -> tuple[type[BakeStopped], str] | None:
    """Return the error of a bake that ended at its stop, as Packer's output shows, and its message; else None.

    ``named`` are the provisioners in a few words each.
    """
    if match := _REACHED.search(output):
        return BakeStopped, f"stopped before provisioner {match[1]} of {len(named)} ({named[int(match[1]) - 1]})"
    return None


def number_of(step: str, named: Sequence[str], option: str) -> int:
    """Return the number of the provisioner, from 1 on, that ``step`` names: a number, or a part of its words.

    Raises InputError, about the ``option`` of the command line, if none or more than one fits.
    """
    fitting = [number for number, words in enumerate(named, start=1) if step in (str(number), words)]
    fitting = fitting or [number for number, words in enumerate(named, start=1) if not step.isdigit() and step in words]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(f"{number} ({words})" for number, words in enumerate(named, start=1))
    fault = f"{step!r} matches {len(fitting)} provisioners" if fitting else f"there is no provisioner {step!r}"
    raise InputError([Problem(option, 1, fault, f"use one of: {known}")])
