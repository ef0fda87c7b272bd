"""The checks of the local back end, and for what is missing the command that installs it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bakery.backends.checks import Check, Condition, find
from bakery.backends.local import checks as local_checks
from bakery.backends.local.checks import Tool
from bakery.host import mirror, qemu
from bakery.host.hardware import ARM
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, LockedBase
from bakery.ovens.local import base_image, container
from bakery.plan.summary import Base
from bakery.settings import Accelerator, LocalSettings, Place, parse
from tests.support.every import every


def program(folder: Path, name: str, prints: str) -> Path:
    """A program that prints one line."""
    file = folder / name
    file.write_text(f"#!/bin/sh\necho '{prints}'\n")
    file.chmod(0o755)
    return file


def test_a_program_that_is_there_is_shown_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "packer", "Packer v1.14.2 (linux)")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    check = local_checks.check_tool(Tool("packer", "packer", "bakes"))
    assert check == Check("packer", Condition.OK, "1.14.2", "bakes")


def test_a_program_without_version_is_shown_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = program(tmp_path, "oddity", "hello")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert local_checks.check_tool(Tool("oddity", "odd", "nothing")).found == str(found)


def test_a_program_that_is_missing_comes_with_the_line_that_installs_it() -> None:
    check = local_checks.check_tool(Tool("no-such-tool", "the-package", "shows"))
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
    check = local_checks.check_builder()
    assert check.condition is condition
    if condition is Condition.WARNING:
        assert check.fix == "packer plugins install github.com/hashicorp/qemu"


def test_programs_that_only_root_has_on_path_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find("mke2fs") is not None


def test_the_table_names_program_package_and_purpose() -> None:
    table = local_checks.tools()
    assert {"packer", "qemu-system-x86_64", "qemu-img", "mmdebstrap", "mke2fs", "shellcheck"} <= {
        t.program for t in table
    }
    assert every(tool.package and tool.purpose for tool in table)


def test_what_images_for_arm_need_is_checked_where_a_base_for_arm_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = parse({}, "dev", tmp_path)
    assert not local_checks.needs_arm(plain)
    assert local_checks.needs_arm(parse({"local": {"bases": {"p/own-arm64": {"image": "./own.img"}}}}, "dev", tmp_path))
    lock_file.write(plain.lock, Lock({Place.LOCAL: {"debian-cloud/debian-12-arm64": LockedBase("a-1", "inrelease:1")}}))
    assert local_checks.needs_arm(plain)
    plain.lock.write_text("version: 9\n")
    assert not local_checks.needs_arm(plain)
    assert "qemu-system-aarch64" in {tool.program for tool in local_checks.tools(local_checks.ARM_TOOLS)}
    monkeypatch.setattr(base_image, "foreign_lack", lambda _board: "arch-test is not installed")
    check = local_checks.check_foreign(ARM)
    assert (check.condition, check.found) == (Condition.MISSING, "arch-test is not installed")
    assert check.fix.startswith("sudo apt-get install --no-install-recommends arch-test")


def test_too_little_disk_is_missing_and_says_how_much_is_wanted(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free // local_checks.GIB
    assert local_checks.check_disk(tmp_path / "not" / "there" / "yet", 0).condition is Condition.OK
    check = local_checks.check_disk(tmp_path, free + 10)
    assert check.condition is Condition.MISSING
    assert f"free {free + 10} GiB there" in check.fix


def test_memory_is_read_in_mebibytes(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  9999 kB\nMemAvailable:    2097152 kB\n")
    assert local_checks.available_memory_mb(tmp_path / "meminfo") == 2048


@pytest.mark.parametrize(("needed", "condition"), [(100, Condition.OK), (101, Condition.MISSING)])
def test_memory_has_to_suffice(needed: int, condition: Condition) -> None:
    assert local_checks.check_memory(needed, 100).condition is condition


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
    assert local_checks.check_accelerator(LocalSettings(accelerator=wanted)).condition is condition


@pytest.mark.parametrize(("lack", "condition"), [("", Condition.OK), ("only root can", Condition.WARNING)])
def test_a_computer_that_can_not_bake_in_containers_is_told_why(
    lack: str, condition: Condition, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container, "lack", lambda: lack)
    check = local_checks.check_containers()
    assert check.condition is condition
    assert lack in check.found


def test_a_computer_whose_apt_has_no_debian_mirror_is_told_which_setting_names_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "apt_sources", lambda: (mirror.Source("http://archive/ubuntu", "noble", ("main",)),))
    monkeypatch.setattr(mirror, "codename", lambda: "")
    check = local_checks.check_mirror(parse({}, "dev", tmp_path))
    assert (check.condition, "local.mirror" in check.fix) == (Condition.WARNING, True)
    named = parse({"local": {"mirror": "http://mirror.example.org/debian"}}, "dev", tmp_path)
    check = local_checks.check_mirror(named)
    assert (check.condition, check.found) == (Condition.OK, "http://mirror.example.org/debian")


def test_base_images_are_named_with_version_and_origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    bases = {"p/own": {"image": "./own.img"}, "p/new": {"image": "./new.img"}}
    settings = parse({"local": {"bases": bases}}, "dev", tmp_path)
    own = LockedBase("own-1", "sha256:1", origin="./own.img")
    lock_file.write(
        settings.lock,
        Lock({Place.LOCAL: {"debian-cloud/debian-12": LockedBase("debian-12-1", "inrelease:1"), "p/own": own}}),
    )
    base_image.folder_of(Base("own", "own-1", "sha256:1", "p", "./own.img"), settings.local).mkdir(parents=True)
    found = [(check.name, str(check.condition), check.found) for check in local_checks.check_bases(settings)]
    assert found == [
        ("base p/new", Condition.WARNING, "not locked"),
        ("base debian-cloud/debian-12", Condition.OK, "debian-12-1 from the Debian archive, fetched by the first bake"),
        ("base p/own", Condition.OK, "own-1 from ./own.img"),
    ]
    settings.lock.write_text("version: 9\n")
    (check,) = local_checks.check_bases(settings)
    assert (check.condition, check.name) == (Condition.MISSING, "base images")
