"""Settings that stacks of released versions have: today's code reads them, and in the same way.

Every folder below ``settings/`` is tested: one for each version that had keys of its own.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import InputError
from bakery.settings import from_file
from bakery.settings.deprecated import DEPRECATED
from bakery.settings.retention import EVERY_FAMILY
from tests.compatibility import planning, settings

FOLDER = planning.HERE / "settings"
CASES = [(folder.name, stack) for folder in sorted(FOLDER.iterdir()) for stack in settings.stacks(folder)]


def differences(recorded: Any, today: Any, where: str = "") -> list[str]:
    """What is no longer as it was read; what the version did not know does not count."""
    if not isinstance(recorded, dict) or not isinstance(today, dict):
        return [] if recorded == today else [f"{where}: {recorded!r} is now {today!r}"]
    gone = [f"{where}.{key} is gone" for key in recorded.keys() - today.keys()]
    both = recorded.keys() & today.keys()
    return gone + [line for key in both for line in differences(recorded[key], today[key], f"{where}.{key}")]


@pytest.mark.parametrize(("version", "stack"), CASES, ids=[f"{version} {stack}" for version, stack in CASES])
def test_settings_of_a_released_version_are_read_as_they_were(version: str, stack: str, tmp_path: Path) -> None:
    shutil.copytree(FOLDER / version, tmp_path / "checkout")
    (tmp_path / "checkout/Pulumi.yaml").write_text("name: image-bakery\n", encoding="utf-8")
    recorded = json.loads((FOLDER / version / settings.READ).read_text(encoding="utf-8"))[stack]
    read = from_file(tmp_path / "checkout", stack)
    assert [warning for warning in read.warnings if not any(one.old in str(warning) for one in DEPRECATED)] == []
    found = settings.plain(read, tmp_path / "checkout")
    found["retention_days"] = read.retention[EVERY_FAMILY].days  # where the code keeps it; the key is what it was
    assert differences(recorded, found) == []


def test_the_fixtures_have_every_key_that_their_version_knew() -> None:
    """What is set differs from the defaults, so that a key that is no longer read is noticed."""
    assert len(CASES) >= 4
    recorded = json.loads((FOLDER / "0.1.0" / settings.READ).read_text(encoding="utf-8"))
    bare, others = recorded.pop("bare"), list(recorded.values())
    for group in ("", "local", "spack", "google"):
        defaults = bare[group] if group else {key: value for key, value in bare.items() if key != "root"}
        set_ones = [one[group] if group else one for one in others]
        same = [key for key in defaults if not any(one[key] != defaults[key] for one in set_ones)]
        assert same == [], f"no fixture sets these keys of {group or 'a stack'}"


def test_a_difference_is_noticed() -> None:
    assert differences({"a": {"b": 1, "c": [2]}}, {"a": {"b": 1, "c": [2], "d": 3}, "e": 4}) == []
    assert differences({"a": {"b": 1}}, {"a": {"b": 2}}) == [".a.b: 1 is now 2"]
    assert differences({"a": {"b": 1}}, {"a": {}}) == [".a.b is gone"]


def test_a_key_that_no_version_knew_is_no_setting(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.yaml").write_text("name: image-bakery\n", encoding="utf-8")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  image-bakery:ovn: local\n", encoding="utf-8")
    with pytest.raises(InputError, match="ovn"):
        from_file(tmp_path, "dev")
