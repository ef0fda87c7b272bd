"""The head of a request with new pins."""

from __future__ import annotations

from bakery.lock.model import LockedBase
from bakery.operations.lock import Newer
from bakery.report.lock_markdown import LIMIT, render

BEFORE, AFTER = LockedBase("debian-12-1", "a"), LockedBase("debian-12-2", "b")


def test_each_base_with_a_newer_image_has_a_line_and_its_packages() -> None:
    newer = {
        "debian-cloud/debian-12": Newer(BEFORE, AFTER, ("bash 1 -> 2", "dash (new) -> 1")),
        "p/own": Newer(AFTER, BEFORE),
    }
    assert render(newer).splitlines() == [
        "| base | pinned | newest |",
        "|---|---|---|",
        "| debian-cloud/debian-12 | `debian-12-1` | `debian-12-2` |",
        "| p/own | `debian-12-2` | `debian-12-1` |",
        "",
        "<details><summary>2 packages differ in debian-cloud/debian-12</summary>",
        "",
        "- `bash 1 -> 2`",
        "- `dash (new) -> 1`",
        "",
        "</details>",
        "",
        "Which packages differ in p/own is not known: its publisher does not list them.",
        "",
    ]
    assert render({}) == ""


def test_a_long_list_is_cut() -> None:
    lines = tuple(f"package-{number} 1.0-1 -> 1.0-2" for number in range(1000))
    text = render({"a": Newer(BEFORE, AFTER, lines), "b": Newer(BEFORE, AFTER, lines)})
    assert len(text) < LIMIT + 500
    assert text.count("<summary>1000 packages differ") == text.count("</details>") == 2
    shown = text.count("- `package-") // 2
    assert shown > 20
    assert [line for line in text.splitlines() if line.startswith("- and ")] == [f"- and {1000 - shown} more"] * 2
