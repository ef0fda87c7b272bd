"""The result of ``bakery drift``: JSON (``schemas/drift.schema.json``), and one line for each difference."""

from collections.abc import Sequence
from typing import Any

from bakery.codec import encode
from bakery.preview.drift import Drift

VERSION = 1


def to_json(found: Sequence[Drift]) -> dict[str, Any]:
    """Return the report as a JSON object."""
    return {"version": VERSION, "drift": [encode(drift) for drift in found]}


def lines(found: Sequence[Drift]) -> list[str]:
    """Return a line for each difference: the kind, what it is about, what is wrong, and what mends it."""
    return [f"{one.kind}: {one.subject}: {one.message}; to mend it: {one.remedy}" for one in found]
