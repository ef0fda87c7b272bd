"""The stack that another one takes its images from: its library, and the way of an image from there.

Both stacks have back ends, of which each knows how an image gets into its library, see :meth:`Backend.take`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bakery.backends import backend
from bakery.errors import UnprovenImage
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.proof import line_of, look_up, of_line
from bakery.settings.source_stack import translated

if TYPE_CHECKING:
    from bakery.backends.base import Backend
    from bakery.library.base import Library
    from bakery.settings import Settings


def source_library(settings: Settings) -> Callable[[], Library | None] | None:
    """Return how to open the library that the stack takes its images from; None if the stack bakes them."""
    return backend(settings.source_stack).existing_library if settings.source_stack else None


def take_proven(target: Backend, name: str) -> bool:
    """Copy an image of the stack's source, and what it was baked from, with proofs and Fluid-Runs.

    ``name`` is its name here. Returns whether it was copied, and not here already. Idempotent. Raises UnprovenImage if
    it, or an ancestor, has no proof there, and what :meth:`Backend.take` raises.
    """
    settings = target.settings
    assert settings.source_stack is not None  # the caller looked
    source = backend(settings.source_stack)
    library, there = source.library(), translated(name, settings.google, source.settings.google)
    required = of_line(line_of(there, library.find)) or {there: ""}
    if missing := look_up(library, required):
        hint = f"promote another image there: pulumi up --stack {source.settings.stack}"
        raise UnprovenImage(f"{name} is not taken from the stack {source.settings.stack}: {missing}", hint=hint)
    return take_all(target, source, required, f"taken from the stack {source.settings.stack}")[there]


def take_all(target: Backend, source: Backend, required: Mapping[str, str], why: str) -> dict[str, bool]:
    """Copy images of ``source``, parents first, and map them to whether they were copied, and not here already.

    That the last one was adopted is in the history of its family once, with ``why``. Raises what :meth:`Backend.take`
    raises.
    """
    copied = {one: target.take(one, source) for one in required}
    name = translated([*required][-1], source.settings.google, target.settings.google)
    family, history = name.rpartition("-")[0], target.library().history
    known = ((one.event, one.image) for one in history.entries(family))
    if (HistoryEvent.ADOPTED, name) not in known:
        history.record(HistoryEntry(family, HistoryEvent.ADOPTED, name, why=why))
    return copied
