"""Packer's plugin from a mirror, with a stand-in of Packer."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, MissingTool
from bakery.ovens.local import packer, packer_plugin
from bakery.progress.activity import Activity
from tests.support.publisher import Publisher, digest, publisher

FOLDER = "/gh/hashicorp/packer-plugin-qemu/releases/download/v1.1.0"
NAME = "packer-plugin-qemu_v1.1.0_x5.0_linux_amd64"
PACKER = """#!/bin/sh
echo "$@" >>"$0.called"
case "$*" in
version) echo Packer v1.11.0 ;;
"plugins install --path "*) cp "$4" "$0.plugin" && [ -x "$4" ] ;;
esac
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Packer without plugins, for x86_64."""
    file = tmp_path / "bin/packer"
    file.parent.mkdir()
    file.write_text(PACKER)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{file.parent}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(packer_plugin.platform, "machine", lambda: "x86_64")
    return file


@pytest.fixture
def shop() -> Iterator[Publisher]:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(NAME, "the plugin")
    with publisher() as made:
        sums = f"{digest(packed.getvalue())}  {NAME}.zip\n{'0' * 64}  {NAME.replace('amd64', 'arm64')}.zip\n"
        made.files |= {f"{FOLDER}/{NAME}.zip": packed.getvalue()}
        made.files |= {f"{FOLDER}/packer-plugin-qemu_v1.1.0_SHA256SUMS": sums.encode()}
        yield made


def called(program: Path) -> list[str]:
    return program.with_name("packer.called").read_text().splitlines()


def test_it_is_installed_from_the_archive_of_a_mirror(program: Path, shop: Publisher) -> None:
    packer.prepare(f"{shop.url}/gh")
    assert program.with_name("packer.plugin").read_text() == "the plugin"
    last = called(program)[-1].split()
    assert (last[:3], last[4:]) == (["plugins", "install", "--path"], ["github.com/hashicorp/qemu"])


def test_without_a_mirror_packer_looks_for_it_itself(program: Path) -> None:
    packer.prepare()
    assert called(program)[-1] == "plugins install github.com/hashicorp/qemu"


def test_an_archive_with_another_checksum_is_not_installed(program: Path, shop: Publisher) -> None:
    shop.files[f"{FOLDER}/{NAME}.zip"] = b"another"
    with pytest.raises(MissingTool, match="could not be installed"):
        packer.prepare(f"{shop.url}/gh")
    assert "--path" not in " ".join(called(program))


def test_checksums_without_an_archive_for_this_computer(shop: Publisher, tmp_path: Path) -> None:
    shop.files["/none"] = b"0  packer-plugin-qemu_v1.1.0_x5.0_windows_amd64.zip\n"
    with pytest.raises(InfrastructureFailed, match="does not list one archive _linux_amd64"):
        packer_plugin.archive(f"{shop.url}/none", tmp_path, "amd64", Activity())
