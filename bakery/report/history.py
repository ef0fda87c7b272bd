"""The history of a family: JSON (``schemas/history.schema.json``), and a table."""

from collections.abc import Sequence
from typing import Any

from bakery.codec import encode
from bakery.errors import printable
from bakery.library.history import HistoryEntry
from bakery.report import text_table
from bakery.report.library import shown_time

VERSION = 1
COMMIT_SHOWN = 12
TITLES = ("time", "event", "image", "before", "who", "stack", "commit", "why")


def to_json(family: str, entries: Sequence[HistoryEntry]) -> dict[str, Any]:
    """Return the history as a JSON object."""
    return {"version": VERSION, "family": family, "entries": [encode(entry) for entry in entries]}


def render(entries: Sequence[HistoryEntry]) -> str:
    """Return a line for each entry, the oldest first; "-" stands for what is not known."""
    rows = [("", [printable(cell) or "-" for cell in _cells(entry)]) for entry in entries]
    return "".join(f"{line}\n" for line in text_table.lines(TITLES, rows))


def _cells(entry: HistoryEntry) -> tuple[str, ...]:
    return (
        *(shown_time(entry.at), entry.event, entry.image, entry.previous, entry.who, entry.stack),
        *(entry.revision[:COMMIT_SHOWN], entry.why),
    )
