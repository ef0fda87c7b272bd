from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from bakery.errors import BakeFailed
from bakery.host import locks
from bakery.ovens import base_image
from bakery.settings import LocalSettings
from tests.ovens.orders import DEBIAN

LOCAL = LocalSettings()


def test_the_release_of_a_family():
    assert base_image.release(DEBIAN) == "bookworm"
    assert base_image.release(replace(DEBIAN, family="debian-13-arm64")) == "trixie"


@pytest.mark.parametrize("family", ["hpc-rocky-linux-8", "debian-99", "ubuntu-2204-lts"])
def test_a_family_that_nobody_can_make_here(family: str):
    with pytest.raises(BakeFailed, match="can't make the base image"):
        base_image.release(replace(DEBIAN, family=family))


def test_the_key_changes_with_what_goes_into_the_image():
    key = base_image.key(DEBIAN, LOCAL)
    assert base_image.key(replace(DEBIAN, digest="inrelease:newer"), LOCAL) != key
    assert base_image.key(replace(DEBIAN, family="debian-13"), LOCAL) != key
    assert base_image.key(DEBIAN, replace(LOCAL, disk_gb=11)) != key
    assert base_image.key(DEBIAN, replace(LOCAL, mirror="http://mine")) != key


def test_the_key_does_not_change_with_how_machines_run():
    changed = replace(LOCAL, cores=7, memory_mb=4096, slots=3, keep_failed=True)
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
    assert base_image.clear_scratch(tmp_path) == [tmp_path / ".dead"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".living", "done"]
