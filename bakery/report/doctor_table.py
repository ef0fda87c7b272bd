"""The checks of this machine as a terminal's table."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

from bakery.backends.checks import Check, Condition

TITLES = ("", "what", "found", "purpose", "how to fix")
COLOURS = {Condition.OK: "green", Condition.WARNING: "yellow", Condition.MISSING: "red"}


def render(checks: Sequence[Check]) -> RenderableType:
    """Return the table of the checks, and below it the number of missing things."""
    columns = (Column(title, overflow="fold") for title in TITLES)
    table = Table(*columns, box=None, header_style="bold", padding=(0, 2, 0, 0))
    for check in checks:
        word = f"[{COLOURS[check.condition]}]{check.condition}[/]"
        table.add_row(word, *(escape(text) for text in (check.name, check.found, check.purpose, check.fix)))
    missing = sum(check.condition is Condition.MISSING for check in checks)
    return Group(table, Text(f"{missing} missing" if missing else "nothing is missing"))
