from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bakery import paths
from bakery.errors import BakeFailed, InfrastructureFailed, MissingTool
from bakery.host import locks, mirror, process
from bakery.host.hardware import ARM, X86
from bakery.ovens.local import base_image
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings, Mirrors, NetworkSettings
from tests.support.bake_orders import DEBIAN

LOCAL = LocalSettings()


def test_the_release_of_a_family():
    assert base_image.release(DEBIAN) == "bookworm"
    assert base_image.release(DEBIAN._replace(family="debian-13-arm64")) == "trixie"


@pytest.mark.parametrize("family", ["hpc-rocky-linux-8", "debian-99", "ubuntu-2204-lts"])
def test_a_family_that_nobody_can_make_here(family: str):
    with pytest.raises(BakeFailed, match="can't make the base image"):
        base_image.release(DEBIAN._replace(family=family))


def test_the_key_changes_with_what_goes_into_the_image():
    key = base_image.key(DEBIAN, LOCAL)
    assert base_image.key(DEBIAN._replace(digest="inrelease:newer"), LOCAL) != key
    assert base_image.key(DEBIAN._replace(family="debian-13"), LOCAL) != key
    assert base_image.key(DEBIAN, LOCAL._replace(disk_gb=11)) != key
    assert base_image.key(DEBIAN, LOCAL._replace(mirror="http://mine")) != key


def test_the_key_changes_with_the_sources_and_not_with_where_they_are_fetched() -> None:
    def key(**apt: str) -> str:
        mirrors = {f"http://archive.example/{name.replace('_', '-')}": mirror for name, mirror in apt.items()}
        return base_image.key(DEBIAN, LOCAL, NetworkSettings("http://p.example", mirrors=Mirrors(mirrors)))

    main = key(debian="http://one.example")
    assert main == key(debian="http://two.example") != base_image.key(DEBIAN, LOCAL)
    assert key(debian="http://one.example", debian_security="http://one.example/s") != main
    assert key(ubuntu="http://one.example") == key() == base_image.key(DEBIAN, LOCAL)


@pytest.mark.parametrize(("codename", "named"), [("bookworm", False), ("", True)])
def test_another_distribution_trusts_debians_keys_for_the_base_image_alone(
    codename: str, named: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> None:
        commands.append(command)

    monkeypatch.setattr(mirror, "codename", lambda: codename)
    monkeypatch.setattr(process, "run", run)
    settings = LOCAL._replace(mirror="http://mine.example/debian")
    base_image._bootstrap(tmp_path, DEBIAN, settings, Activity(), tmp_path / "log", network=NetworkSettings())
    (command,) = commands
    assert (f"--keyring={mirror.KEYRING}" in command) is named
    assert command[-1] == "deb http://mine.example/debian bookworm main"


def test_a_computer_without_debians_keys_is_told_which_package_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "KEYRING", tmp_path / "none.gpg")
    with pytest.raises(MissingTool, match=r"none\.gpg does not exist") as missing:
        base_image._check_tools(X86)
    assert missing.value.hint.endswith("debian-archive-keyring")


def test_a_base_for_arm_has_a_kernel_of_its_own_and_is_another_base() -> None:
    arm = DEBIAN._replace(family="debian-12-arm64")
    assert base_image.packages(arm)[0] == "linux-image-cloud-arm64"
    assert base_image.packages(DEBIAN)[0] == "linux-image-cloud-amd64"
    assert base_image.key(arm, LOCAL) != base_image.key(DEBIAN, LOCAL)


@pytest.mark.parametrize("runs", [True, False])
def test_packages_for_other_processors_need_an_emulator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    monkeypatch.setattr(base_image.platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert base_image.foreign_lack(ARM) == "arch-test is not installed"
    (tmp_path / "arch-test").write_text(f"#!/bin/sh\ntest $1 = arm64 && exit {int(not runs)}\n")
    (tmp_path / "arch-test").chmod(0o755)
    assert base_image.foreign_lack(ARM) == ("" if runs else "programs for arm64 don't run on this computer")
    assert base_image.foreign_lack(X86) == ""


def test_the_key_does_not_change_with_how_machines_run():
    changed = LOCAL._replace(cores=7, memory_mb=4096, slots=3, keep_failed=True)
    assert base_image.key(DEBIAN, changed) == base_image.key(DEBIAN, LOCAL)


def test_the_key_changes_with_the_files_that_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keys = []
    monkeypatch.setattr(base_image, "FILES", tmp_path)
    for content in ("a", "b"):
        (tmp_path / "customize.sh").write_text(content)
        keys.append(base_image.key(DEBIAN, LOCAL))
    (tmp_path / "finish.sh").write_text("runs at the end of a bake, is in no base image")
    assert keys[0] != keys[1] == base_image.key(DEBIAN, LOCAL)


def test_half_made_bases_of_dead_makers_go_and_others_stay(tmp_path: Path):
    for name in (".living", ".dead", "done"):
        (tmp_path / name).mkdir()
        locks.sign(tmp_path / name, "x")
    owner = locks.owner(tmp_path / ".dead")
    assert owner is not None
    (tmp_path / ".dead" / locks.OWNER_FILE).write_text(json.dumps(asdict(replace(owner, boot="gone"))))
    base_image.clear(tmp_path, time.time())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".living", "done"]


def test_a_base_image_that_no_bake_began_with_for_a_month_goes(tmp_path: Path):
    now = 1_800_000_000
    for name, days in (("old", 31), ("used", 29)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "disk.qcow2").touch()
        os.utime(tmp_path / name, (now - days * 86400,) * 2)
    (tmp_path / "old.lock").touch()
    os.utime(tmp_path / "old.lock", (0, 0))
    base_image.clear(tmp_path, now)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.lock", "used"]


def make_base(folder: Path, *_: object, **_more: object) -> None:
    """A base image as small as can be."""
    folder.mkdir(parents=True)
    (folder / "raw").write_bytes(os.urandom(1 << 20))
    process.output(["qemu-img", "convert", "-O", "qcow2", str(folder / "raw"), str(folder / "disk.qcow2")])
    for name in base_image.BOOT_FILES:
        (folder / name).write_text("x")


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a base image in the cache; another one is made by :func:`make_base`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(base_image, "_make", make_base)
    folder = paths.cache() / "bases" / base_image.key(DEBIAN, LOCAL)
    make_base(folder)
    return folder


def test_a_base_image_that_is_there_is_taken_and_its_use_is_noted(cached: Path, tmp_path: Path):
    (cached / "raw").unlink()
    os.utime(cached, (0, 0))
    found = base_image.get(DEBIAN, LOCAL, Activity(), tmp_path / "log")
    assert found.disk == cached / "disk.qcow2"
    assert cached.stat().st_mtime > 0
    assert not (cached / "raw").exists(), "it was made again"


@pytest.mark.parametrize(
    ("name", "size"), [("disk.qcow2", 0), ("disk.qcow2", 1 << 19), ("vmlinuz", 0), ("initrd.img", 0)]
)
def test_a_damaged_base_image_is_made_anew(cached: Path, tmp_path: Path, name: str, size: int):
    (cached / "raw").unlink()
    os.truncate(cached / name, size)
    base_image.get(DEBIAN, LOCAL, Activity(), tmp_path / "log")
    assert (cached / "raw").exists() and (cached / name).stat().st_size > size
    assert [path.name for path in cached.parent.iterdir() if path.is_dir()] == [cached.name]


def test_nobody_else_can_change_what_a_base_image_is_made_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    modes = []

    def bootstrap(scratch: Path, *_: object, **_more: object) -> None:
        modes.extend(path.stat().st_mode & 0o7022 for path in (scratch, *(scratch / "files").rglob("*")))
        raise InfrastructureFailed("far enough")

    monkeypatch.setattr(base_image, "_bootstrap", bootstrap)
    with pytest.raises(InfrastructureFailed, match="far enough"):
        base_image.get(DEBIAN, LOCAL, Activity(), tmp_path / "log")
    assert modes[0] == 0o1022, "writable for the maker's other self, and sticky"
    assert set(modes[1:]) == {0}
