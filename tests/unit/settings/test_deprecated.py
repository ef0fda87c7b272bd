"""A setting that was renamed is read by its old name for a minor version, with a warning."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pulumi
import pytest

from bakery import __version__
from bakery.errors import InputError
from bakery.preview.plan_report import plan_report
from bakery.settings import Settings, deprecated, from_file, from_pulumi, parse
from bakery.settings.deprecated import DEPRECATED, DeprecatedSetting

OLD = (
    DeprecatedSetting("kitchen", "oven", "0.2", "0.3"),
    DeprecatedSetting("local.ramMb", "local.memoryMb", "0.2", "0.3"),
    DeprecatedSetting("ram", "local.cores", "0.2", "0.3"),
)
WARNING = (
    "Pulumi.dev.yaml:4: warning: p:local.ramMb is deprecated since version 0.2, and version 0.3 will not know it; "
    "write p:local.memoryMb with the same value"
)


@pytest.fixture(autouse=True)
def _renamed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deprecated, "DEPRECATED", OLD)


def written(folder: Path, own: str, shared: str = "") -> Settings:
    (folder / "Pulumi.yaml").write_text(f"name: p\nruntime: python\n{shared}")
    (folder / "Pulumi.dev.yaml").write_text(own)
    return from_file(folder, "dev")


def said(settings: Settings) -> list[str]:
    return [str(one) for one in settings.warnings]


def test_the_old_name_is_read_with_a_warning_that_says_where_and_what_to_write(tmp_path: Path) -> None:
    settings = written(tmp_path, "config:\n  p:local:\n    cores: 3\n    ramMb: 1024\n  p:kitchen: fake\n")
    assert (settings.local.cores, settings.local.memory_mb, settings.oven) == (3, 1024, "fake")
    assert WARNING in said(settings)
    assert [one.line for one in settings.warnings] == [5, 4]
    assert settings == written(tmp_path, "config:\n  p:local:\n    cores: 3\n    memoryMb: 1024\n  p:oven: fake\n")


def test_a_setting_moves_into_a_group_and_out_of_the_project_file(tmp_path: Path) -> None:
    settings = written(tmp_path, "config: {}\n", "config:\n  p:oven: fake\n  p:ram: 4\n")
    assert settings.local.cores == 4
    (warning,) = said(settings)
    assert warning.startswith("Pulumi.yaml:5: warning: p:ram is deprecated")


def test_the_new_name_counts_if_both_are_set(tmp_path: Path) -> None:
    settings = written(tmp_path, "config:\n  p:local:\n    memoryMb: 4096\n    ramMb: 1024\n")
    assert settings.local.memory_mb == 4096
    assert said(settings) == [WARNING]


def test_values_of_the_engine_are_read_the_same(tmp_path: Path) -> None:
    own = "config:\n  p:local:\n    cores: 3\n    ramMb: 1024\n  p:kitchen: fake\n"
    values = {"local": json.dumps({"cores": 3, "ramMb": 1024}), "kitchen": "fake"}
    config = cast(pulumi.Config, SimpleNamespace(name="p", get=values.get))
    expected = written(tmp_path, own)
    for given in ((), ("p:local", "p:kitchen")):
        found = from_pulumi(config, "dev", tmp_path, given)
        assert found == expected
        assert said(found) == said(expected)
    assert said(from_pulumi(cast(pulumi.Config, SimpleNamespace(name="p", get={}.get)), "dev", tmp_path)) == []


def test_what_is_wrong_with_the_value_is_a_problem_of_the_new_name() -> None:
    with pytest.raises(InputError, match=r"local\.memoryMb is 'much'"):
        parse({"local": {"ramMb": "much"}}, "dev", Path("/checkout"))
    with pytest.raises(InputError, match="local is 'much'"):
        parse({"local": "much"}, "dev", Path("/checkout"))


@pytest.mark.parametrize("text", ["", "config:\n- p:ram\n", "config:\n  p:ram: [\n", "\t"])
def test_a_file_that_cannot_be_read_has_the_first_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text(text)
    (warning,) = parse({"ram": 2}, "dev", tmp_path).warnings
    assert (warning.file, warning.line) == ("Pulumi.dev.yaml", 1)


def test_the_plan_says_it(tmp_path: Path) -> None:
    settings = written(tmp_path, "config:\n  p:local:\n    cores: 3\n    ramMb: 1024\n")
    assert WARNING in [str(problem) for problem in plan_report(settings).problems]


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


def wrong(table: Iterable[DeprecatedSetting], version: str) -> list[str]:
    """The old names that were not kept for a minor version, or should be gone."""
    return [
        one.old
        for one in table
        if numbers(one.removed) <= numbers(one.since) or numbers(version) >= numbers(one.removed)
    ]


def test_an_old_name_stays_for_a_minor_version_and_is_then_removed() -> None:
    assert wrong(OLD, "0.2.5") == []
    assert wrong(OLD, "0.3.0") == ["kitchen", "local.ramMb", "ram"]
    assert wrong([DeprecatedSetting("a", "b", "0.2", "0.2")], "0.1.0") == ["a"]
    assert wrong(DEPRECATED, __version__) == []
