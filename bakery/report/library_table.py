"""The library as a terminal's table, and as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.report.library import figures_text, shown_time, state_text

TITLES = ("family", "image", "digest", "state", "tested", "figures")
COLOURS = {"ACTIVE": "green", "candidate": "cyan", "DEPRECATED": "dim", "OBSOLETE": "dim"}
WORDS = {"passed": "", "failed": " failed", "error": " no verdict"}


def render(report: Mapping[str, Any]) -> RenderableType:
    """Images by family, the promoted one first and then the newest; a line about the whole below."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in TITLES:
        table.add_column(title, overflow="fold")
    for image in _sorted(report):
        cells = [escape(cell) for cell in _cells(image)]
        cells[3] = f"[{COLOURS[cells[3]]}]{cells[3]}[/]"
        table.add_row(*cells)
    return Group(*([table] if report["images"] else []), Text(summary(report)))


def markdown(report: Mapping[str, Any]) -> str:
    """The same as a Markdown table, for a job's summary or a wiki."""
    if not report["images"]:
        return summary(report) + "\n"
    lines = [f"| {' | '.join(TITLES)} |", "|" + "---|" * len(TITLES)]
    for image in _sorted(report):
        cells = [cell.replace("|", "\\|").replace("\n", "<br>") for cell in _cells(image)]
        cells[1] = f"`{cells[1]}`"
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", summary(report), ""])


def summary(report: Mapping[str, Any]) -> str:
    """How many images and families there are, and the space the images take."""
    images = report["images"]
    if not images:
        return "The library is empty."
    size = sum({image["digest"]: image["size"] for image in images}.values())
    counts = (len(images), "image"), (len(report["families"]), "family"), (len(report["runs"]), "test run")
    words = [f"{count} {word if count == 1 else PLURALS[word]}" for count, word in counts]
    return f"{', '.join(words)}; {size / 1e9:.1f} GB"


PLURALS = {"image": "images", "family": "families", "test run": "test runs"}


def _sorted(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    newest_first = sorted(report["images"], key=lambda image: str(image["created"]), reverse=True)
    return sorted(newest_first, key=lambda image: (image["candidate_for"], not image["promoted"]))


def _cells(image: Mapping[str, Any]) -> list[str]:
    tested = shown_time(image["tested"]) + WORDS.get(image["verdict"], "") if image["tested"] else "never"
    return [
        image["candidate_for"],
        image["name"],
        image["digest"][:DIGEST_SHOWN],
        state_text(image),
        tested,
        "\n".join(figures_text(image)),
    ]
