"""The plan as a terminal's table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from bakery.report.plan import ACTIONS, duration, summary, timing

COLOURS = {"keep": "dim", "adopt": "cyan", "bake": "yellow", "test": "blue"}


def render(report: Mapping[str, Any]) -> RenderableType:
    """The table of images in graph order, and a line about the whole."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("image", "from", "", "last bake", "why"):
        table.add_column(title, overflow="fold")
    for image in report["images"]:
        took = duration(image["seconds"]) if image["seconds"] else ""
        style = COLOURS[image["action"]]
        word = f"[{style}]{ACTIONS[image['action']]}[/]"
        reasons = "\n".join(escape(reason) for reason in image["reasons"])
        table.add_row(image["name"], escape(image["base"]["family"]), word, took, reasons)
    lines = [line for line in (summary(report), timing(report)) if line]
    return Group(*([table] if report["images"] else []), Text("\n".join(lines)))
