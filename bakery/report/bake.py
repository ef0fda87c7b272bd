"""The result of ``bakery bake``: JSON (``schemas/bake.schema.json``), and one line per image."""

from collections.abc import Sequence
from typing import Any

from bakery.errors import Interrupted, ParentFailed
from bakery.operations.bake import Baked
from bakery.progress.status_line import elapsed

VERSION = 1


def to_json(done: Sequence[Baked]) -> dict[str, Any]:
    """Return the report as a JSON object; ``seconds`` is wall time."""
    return {"version": VERSION, "images": [_image(one) for one in done]}


def _image(one: Baked) -> dict[str, Any]:
    log = one.bake.log if one.bake else one.error.log if one.error else None
    return {
        "family": one.image.family,
        "name": one.image.name,
        "digest": one.image.digest,
        "outcome": outcome(one),
        "seconds": round(one.bake.seconds, 1) if one.bake else 0.0,
        "log": str(log or ""),
        "error": one.error.message if one.error else "",
        "replay": one.error.replay if one.error else "",
    }


def outcome(one: Baked) -> str:
    """Return the outcome in one word."""
    if one.bake is not None:
        return one.bake.outcome.value
    if isinstance(one.error, ParentFailed):
        return "skipped"
    return "stopped" if isinstance(one.error, Interrupted) else "failed"


def lines(done: Sequence[Baked]) -> list[str]:
    """Return one line for each image that exists now."""
    return [
        f"{one.image.family}: {one.bake.name} {one.bake.outcome.value} after {elapsed(one.bake.seconds)}"
        + (f", log: {one.bake.log}" if one.bake.log else "")
        for one in done
        if one.bake is not None
    ]


def failures(done: Sequence[Baked]) -> list[str]:
    """Return one line for each failure: bakes that failed, then images that were skipped because of them."""
    failed = [one for one in done if one.error is not None and not isinstance(one.error, Interrupted)]
    failed.sort(key=lambda one: isinstance(one.error, ParentFailed))
    return [f"{one.image.family}: {one.error}" for one in failed]
