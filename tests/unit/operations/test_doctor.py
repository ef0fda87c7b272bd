"""The doctor finds what is there, and for what is not it says the command that gets it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.host import qemu
from bakery.operations import doctor
from bakery.operations.doctor import Check, Condition, Tool
from bakery.settings import Accelerator, LocalSettings, Settings

MakeSettings = Callable[..., Settings]


def program(folder: Path, name: str, prints: str) -> Path:
    """A program that prints one line."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{prints}'\n")
    file.chmod(0o755)
    return file


def test_a_program_that_is_there_is_shown_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "packer", "Packer v1.14.2 (linux)")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = doctor.check_tool(Tool("packer", "packer", "bakes"))
    assert check == Check("packer", Condition.OK, "1.14.2", "bakes")


def test_a_program_without_version_is_shown_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = program(tmp_path, "oddity", "hello")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert doctor.check_tool(Tool("oddity", "odd", "nothing")).found == str(found)


def test_a_program_that_is_missing_comes_with_the_line_that_installs_it() -> None:
    check = doctor.check_tool(Tool("no-such-tool", "the-package", "shows"))
    assert check.condition is Condition.MISSING
    assert check.fix == "sudo apt-get install --no-install-recommends the-package"


@pytest.mark.parametrize(
    ("version", "installed", "condition"),
    [
        ("Packer v1.6.6", "", Condition.OK),
        (
            "Packer v1.14.3",
            "/plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v1.1.5_x5.0_linux_amd64",
            Condition.OK,
        ),
        ("Packer v1.14.3", "/plugins/github.com/hashicorp/docker/packer-plugin-docker_v1.1.0", Condition.WARNING),
        ("a stapler", "", Condition.MISSING),
    ],
)
def test_a_packer_without_its_qemu_plugin_is_told_how_to_get_it(
    version: str, installed: str, condition: Condition, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packer = program(tmp_path, "packer", version)
    packer.write_text(f"#!/bin/sh\n[ $1 = version ] && echo '{version}' || echo '{installed}'\n")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = doctor.check_builder()
    assert check.condition is condition
    if condition is Condition.WARNING:
        assert check.fix == "packer plugins install github.com/hashicorp/qemu"


def test_programs_that_only_root_has_on_path_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert doctor.find("mke2fs") is not None


def test_the_table_names_program_package_and_purpose() -> None:
    table = doctor.tools()
    assert {"packer", "qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "shellcheck"} <= {
        t.program for t in table
    }
    assert all(tool.package and tool.purpose for tool in table)


def test_too_little_disk_is_missing_and_says_how_much_is_wanted(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free // doctor.GIB
    assert doctor.check_disk(tmp_path / "not" / "there" / "yet", 0).condition is Condition.OK
    check = doctor.check_disk(tmp_path, free + 10)
    assert check.condition is Condition.MISSING
    assert f"free {free + 10} GiB there" in check.fix


def test_memory_is_read_in_mebibytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9999 kB\nMemAvailable:    2097152 kB\n")
    assert doctor.available_memory_mb(tmp_path / "meminfo") == 2048


@pytest.mark.parametrize(("needed", "condition"), [(100, Condition.OK), (101, Condition.MISSING)])
def test_memory_has_to_suffice(needed: int, condition: Condition) -> None:
    assert doctor.check_memory(needed, 100).condition is condition


@pytest.mark.parametrize(
    ("found", "wanted", "condition"),
    [
        (Accelerator.KVM, Accelerator.AUTO, Condition.OK),
        (Accelerator.TCG, Accelerator.TCG, Condition.OK),
        (Accelerator.TCG, Accelerator.AUTO, Condition.WARNING),
    ],
)
def test_emulation_is_a_warning_unless_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, found: Accelerator, wanted: Accelerator, condition: Condition
) -> None:
    monkeypatch.setattr(qemu, "accelerator", lambda _settings: found)
    assert doctor.check_accelerator(LocalSettings(accelerator=wanted)).condition is condition


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
    monkeypatch.setattr(doctor.shutil, "which", lambda *_args, **_options: None)
    assert doctor.check_engine(tmp_path).condition is Condition.MISSING
    (tmp_path / ".bakery" / "engine").mkdir(parents=True)
    program(tmp_path / ".bakery" / "engine", "pulumi", "v999.0.0")
    assert doctor.check_engine(tmp_path).found == "v999.0.0"


def test_spack_is_optional_but_a_folder_that_is_named_must_be_there(
    tmp_path: Path, make_settings: MakeSettings
) -> None:
    assert doctor.check_spack(make_settings()).condition is Condition.WARNING
    for source, condition in (
        (str(tmp_path), Condition.OK),
        ("https://example.org/spack.git", Condition.OK),
        (str(tmp_path / "gone"), Condition.MISSING),
    ):
        assert doctor.check_spack(make_settings(spack={"source": source})).condition is condition


def test_all_checks_of_a_stack_have_a_json_form_and_every_fault_a_fix(make_settings: MakeSettings) -> None:
    found = doctor.checks(make_settings())
    assert {"python", "pulumi", "packer", "accelerator", "disk", "memory", "spack"} <= {check.name for check in found}
    for check in found:
        assert check.condition is not Condition.MISSING or check.fix, check
    shown = json.loads(json.dumps([check.to_json() for check in found]))
    assert set(shown[0]) == {"name", "condition", "found", "purpose", "fix"}
    assert {entry["condition"] for entry in shown} <= {"ok", "warning", "missing"}


def test_the_cloud_oven_wants_no_machine_tools(make_settings: MakeSettings) -> None:
    google = {"project": "p", "region": "r"}
    names = {check.name for check in doctor.checks(make_settings(oven="cloud-build", google=google))}
    assert names == {"python", "pulumi", "go", "spack"}
