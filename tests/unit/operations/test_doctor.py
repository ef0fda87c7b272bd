"""The doctor finds what is there, and for what is not it says the command that gets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.backends.checks import Condition
from bakery.host.engine import how_to_install
from bakery.operations import doctor
from bakery.settings import Settings
from tests.support.root import ROOT

MakeSettings = Callable[..., Settings]


def program(folder: Path, name: str, prints: str) -> Path:
    """A program that prints one line."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{prints}'\n")
    file.chmod(0o755)
    return file


@pytest.mark.parametrize(
    ("prints", "condition"), [("v999.0.1", Condition.OK), ("v3.1.0", Condition.MISSING), ("oops", Condition.MISSING)]
)
def test_the_engine_is_as_new_as_the_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prints: str, condition: Condition
) -> None:
    program(tmp_path, "pulumi", prints)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = doctor.check_engine(tmp_path)
    assert check.condition is condition
    assert bool(check.fix) is (condition is Condition.MISSING)


def test_the_engine_of_the_set_up_is_found_without_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_args, **_options: None)
    lack = doctor.check_engine(tmp_path)
    assert lack.condition is Condition.MISSING
    assert lack.fix == f"install Pulumi {version('pulumi')}: https://www.pulumi.com/docs/install"
    assert how_to_install(ROOT) == "make setup, then source tools/env.sh", "a checkout of the bakery has a set-up"
    (tmp_path / ".bakery" / "engine").mkdir(parents=True)
    program(tmp_path / ".bakery" / "engine", "pulumi", "v999.0.0")
    assert doctor.check_engine(tmp_path).found == "v999.0.0"


def test_spack_is_optional_but_a_folder_that_is_named_must_be_there(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    assert doctor.check_spack(make_settings().spack).condition is Condition.WARNING
    for source, condition in (
        (str(tmp_path), Condition.OK),
        ("https://example.org/spack.git", Condition.OK),
        (str(tmp_path / "gone"), Condition.MISSING),
    ):
        assert doctor.check_spack(make_settings(spack={"source": source}).spack).condition is condition


def test_what_mends_a_setting_has_the_prefix_of_the_stacks_other_settings(make_settings: MakeSettings) -> None:
    settings = replace(make_settings(oven="local"), namespace="images")
    fixes = [check.fix for check in doctor.checks(backend(settings))]
    assert any("'images:spack.source'" in fix for fix in fixes)
    assert not any("image-bakery:" in fix for fix in fixes)


def test_all_checks_of_a_stack_have_a_json_form_and_every_fault_a_fix(make_settings: MakeSettings) -> None:
    found = tuple(doctor.checks(backend(make_settings(oven="local"))))
    assert {"python", "pulumi", "packer", "accelerator", "disk", "memory", "spack"} <= {check.name for check in found}
    for check in found:
        assert check.condition is not Condition.MISSING or check.fix, check
    shown = json.loads(json.dumps([check.to_json() for check in found]))
    assert set(shown[0]) == {"name", "condition", "found", "purpose", "fix"}
    assert {entry["condition"] for entry in shown} <= {"ok", "warning", "missing"}


def test_the_cloud_oven_wants_no_machine_tools(make_settings: MakeSettings) -> None:
    google = {"project": "p", "region": "r"}
    names = {check.name for check in doctor.checks(backend(make_settings(oven="cloud-build", google=google)))}
    assert names == {"python", "pulumi", "go", "spack"}


def test_the_fake_oven_wants_no_machine_tools_either(make_settings: MakeSettings) -> None:
    names = {check.name for check in doctor.checks(backend(make_settings(oven="fake")))}
    assert names == {"python", "pulumi", "go", "spack"}
