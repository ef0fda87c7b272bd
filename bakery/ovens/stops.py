"""Where a bake stops for its user, before one of its provisioners; and what ends a bake in the bakery's own words."""

import re
from collections.abc import Sequence

from bakery.errors import BakeFailed, BakeStopped, InputError, Problem
from bakery.recipe import secrets
from bakery.recipe.model import Json

STOP = "bakery-stop"
_REACHED = re.compile(rf"(?<!echo ){STOP} (\d+)\b")


def provisioner(number: int) -> Json:
    """Return a provisioner that ends a bake before the one with the number, from 1 on, in a way that is recognised."""
    return {"type": "shell-local", "inline": [f"echo {STOP} {number}", "exit 1"]}


def reached(output: str, named: Sequence[str]) -> tuple[type[BakeFailed], str] | None:
    """Return the error of a bake that a provisioner of the bakery's own ended, as Packer's output shows; else None.

    That is its stop, or the search for its secrets. The error comes with its message.

    ``named`` are the provisioners in a few words each.
    """
    if match := _REACHED.search(output):
        return BakeStopped, f"stopped before provisioner {match[1]} of {len(named)} ({named[int(match[1]) - 1]})"
    found = secrets.left(output)
    return (BakeFailed, found) if found else None


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
