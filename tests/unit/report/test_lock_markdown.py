"""The head of a request with new pins."""

from __future__ import annotations

from bakery.lock.model import LockedBase
from bakery.report.lock_markdown import render


def test_each_base_with_a_newer_image_has_a_line() -> None:
    newer = {"debian-cloud/debian-12": (LockedBase("debian-12-1", "a"), LockedBase("debian-12-2", "b"))}
    assert render(newer).splitlines() == [
        "| base | pinned | newest |",
        "|---|---|---|",
        "| debian-cloud/debian-12 | `debian-12-1` | `debian-12-2` |",
        "",
    ]
    assert render({}) == ""
