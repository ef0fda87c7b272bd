"""The library's report as a terminal's table."""

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.report.library import by_family, figure_text, revocations, shown_time, state_text, summary

TITLES = ("family", "image", "digest", "state", "tested", "figures")
COLOURS = {"ACTIVE": "green", "candidate": "cyan", "DEPRECATED": "dim", "OBSOLETE": "dim", "revoked": "red"}
WORDS = {"passed": "", "failed": " failed", "error": " no verdict"}


def render(report: Mapping[str, Any]) -> RenderableType:
    """Return the table of images by family (the promoted one first, then the newest), and a summary below."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in TITLES:
        table.add_column(title, overflow="fold", no_wrap=title in ("family", "image"))  # names are there to be copied
    for image in by_family(report["images"]):
        cells = [escape(cell) for cell in _cells(image)]
        cells[3] = f"[{COLOURS[cells[3]]}]{cells[3]}[/]"
        table.add_row(*cells)
    lines = [*revocations(report["images"]), summary(report)]
    return Group(*([table] if report["images"] else []), *map(Text, lines))


def _cells(image: Mapping[str, Any]) -> list[str]:
    tested = shown_time(image["tested"]) + WORDS.get(image["verdict"], "") if image["tested"] else "never"
    return [
        image["candidate_for"],
        image["name"],
        image["digest"][:DIGEST_SHOWN],
        state_text(image),
        tested,
        "\n".join(map(figure_text, image["figures"])),
    ]
