"""The plan as a plain text table."""

from collections.abc import Iterator, Mapping
from typing import Any

from bakery.errors import printable
from bakery.preview.model import given_up
from bakery.report import text_table
from bakery.report.plan import ACTIONS, bases, duration, summary, timing

TITLES = ("image", "from", "", "last bake", "why")
COLOURS = {"keep": "2", "adopt": "36", "bake": "33", "test": "34"}  # ANSI: dim, cyan, yellow, blue


def render(report: Mapping[str, Any], *, colour: bool = False) -> str:
    """Return the images in the order of the graph with one line per reason, and a summary."""
    rows = [(COLOURS[image["action"]], cells) for image in report["images"] for cells in _rows(image)]
    lines = text_table.lines(TITLES, rows, colour=colour)
    lines += [printable(one["text"]) for key in ("channels", "copies") for one in report.get(key, ())]
    lines += [printable(given_up(*entry)) for entry in report.get("given_up", {}).items()]
    lines += [printable(line) for line in bases(report)]
    lines += [line for line in (summary(report), timing(report)) if line]
    return "\n".join(lines) + "\n"


def _rows(image: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of an image's lines; all lines but the first contain only a reason."""
    took = duration(image["seconds"]) if image["seconds"] else ""
    first, *others = (printable(reason) for reason in image["reasons"] or [""])
    yield image["name"], image["base"]["family"], ACTIONS[image["action"]], took, first
    for reason in others:
        yield "", "", "", "", reason
