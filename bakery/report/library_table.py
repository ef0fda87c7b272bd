"""The library's report as a plain text table."""

from collections.abc import Iterator, Mapping
from typing import Any

from bakery.errors import printable
from bakery.recipe.image_names import DIGEST_SHOWN
from bakery.report import text_table
from bakery.report.library import adoptions, by_family, figure_text, revocations, shown_time, state_text, summary

TITLES = ("family", "image", "digest", "state", "tested", "figures")
COLOURS = {"ACTIVE": "32", "candidate": "36", "DEPRECATED": "2", "OBSOLETE": "2", "revoked": "31"}  # ANSI
WORDS = {"passed": "", "failed": " failed", "error": " no verdict"}


def render(report: Mapping[str, Any], *, colour: bool = False) -> str:
    """Return the table of images by family (the promoted one first, then the newest), and a summary below."""
    rows = [row for image in by_family(report["images"]) for row in _rows(image)]
    notes = (*adoptions(report["images"]), *revocations(report["images"]))
    below = [*map(printable, notes), summary(report)]
    return "\n".join([*text_table.lines(TITLES, rows, colour=colour), *below]) + "\n"


def _rows(image: Mapping[str, Any]) -> Iterator[text_table.Row]:
    """Yield an image's lines; all but the first contain only a figure."""
    tested = shown_time(image["tested"]) + WORDS.get(image["verdict"], "") if image["tested"] else "never"
    state, digest = state_text(image), image["digest"][:DIGEST_SHOWN]
    first, *others = (printable(figure_text(figure)) for figure in image["figures"]) if image["figures"] else [""]
    yield COLOURS[state], (printable(image["candidate_for"]), image["name"], digest, state, tested, first)
    for figure in others:
        yield COLOURS[state], ("", "", "", "", "", figure)
