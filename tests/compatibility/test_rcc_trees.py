"""Trees laid out as FluidNumerics/rcc-apps lays them out have the digests that version 0.1.0 computed.

``rcc_layout`` is our own, with the same shapes. rcc-apps itself is compared when RCC_APPS names a checkout of it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.compatibility import planning, record


def recorded(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((planning.HERE / name).read_text(encoding="utf-8"))
    return found


def test_the_layout_has_the_recorded_digests_and_problems(tmp_path: Path) -> None:
    computed = record.layout(tmp_path / "checkout")
    wrong = planning.differences(recorded(record.LAYOUT), computed)
    assert not wrong, "\n".join(wrong)
    assert computed["problems"] == recorded(record.LAYOUT)["problems"]


def test_the_layout_covers_the_shapes() -> None:
    table = recorded(record.LAYOUT)["stacks"]["cloud-build"]
    assert {family: image["package"] for family, image in table.items()} == {
        "solver-site": "solver",
        "mesher-site": "mesher",
        "viewer-zen3": "viewer",
        "node-rocky": "node",
        "plain-v1": "plain",
    }
    assert table["mesher-site"]["parent"] == "solver-site"
    assert table["mesher-site"]["base"] == table["solver-site"]["digest"]
    assert {family for family, image in table.items() if image["tests"]} == {"solver-site", "viewer-zen3"}


def test_the_table_of_rcc_apps_names_its_commit_and_all_packages() -> None:
    table = recorded(record.APPS)
    assert table["commit"] == record.APPS_COMMIT
    for stack in record.TREE_STACKS:
        assert len({image["package"] for image in table["stacks"][stack].values()}) == 13
    assert set(table) == {"commit", "sources", "stacks"}, "no text of rcc-apps is recorded"


@pytest.mark.skipif("RCC_APPS" not in os.environ, reason="RCC_APPS names no checkout of rcc-apps")
def test_rcc_apps_has_the_recorded_digests(tmp_path: Path) -> None:
    before, now = recorded(record.APPS), record.apps(tmp_path / "checkout")
    changed = sorted(name for name in before["sources"] if before["sources"][name] != now["sources"].get(name))
    assert not changed, f"RCC_APPS is not at commit {before['commit']}: {', '.join(changed)} differ"
    wrong = planning.differences(before, now)
    assert not wrong, "\n".join(wrong)
