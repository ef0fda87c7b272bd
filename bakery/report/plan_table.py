"""The plan as a plain text table whose lines are not wrapped.

Rich is not used: for a thousand images it takes longer than the plan.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from bakery.errors import printable
from bakery.preview.model import given_up
from bakery.report.plan import ACTIONS, bases, duration, summary, timing

TITLES = ("image", "from", "", "last bake", "why")
COLOURS = {"keep": "2", "adopt": "36", "bake": "33", "test": "34"}  # ANSI: dim, cyan, yellow, blue


def render(report: Mapping[str, Any], *, colour: bool = False) -> str:
    """Return the images in the order of the graph with one line per reason, and a summary."""
    rows = [(image["action"], cells) for image in report["images"] for cells in _rows(image)]
    table = [TITLES, *(cells for _, cells in rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(TITLES) - 1)]
    lines = [_line(TITLES, widths)] if rows else []
    for action, cells in rows:
        line = _line(cells, widths)
        lines.append(f"\033[{COLOURS[action]}m{line}\033[0m" if colour else line)
    lines += [printable(channel["text"]) for channel in report.get("channels", ())]
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


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    *padded, last = cells
    return "  ".join([cell.ljust(width) for cell, width in zip(padded, widths, strict=True)] + [last]).rstrip()
