"""A cloud image that is made here is served, locked, downloaded, booted from a BIOS and from UEFI, and baked.

Minutes each, so it is no part of the suite: ``make test-slow``. It needs root and the packages of docs/developing.md.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.lock.resolve import LocalBases
from bakery.orders.model import BakeOrder
from bakery.ovens.local.oven import LocalOven
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.settings import Settings, parse
from tests.support import cloud_image
from tests.support.bake_orders import on_parent, order, source
from tests.support.disk_content import manifest
from tests.support.publisher import Publisher, digest, publisher

pytestmark = pytest.mark.slow
PROJECT, FAMILY = "ubuntu-os-cloud", "ubuntu-2204-lts"
INSTALL = """#!/bin/bash
set -e
[ -d /sys/firmware/efi ] && echo booted from UEFI || echo booted from a BIOS
id; df /; test "$(df --output=size / | tail -1)" -gt 3200000  # it grew with the disk
echo baked >/etc/baked-$(ls /etc/baked-* 2>/dev/null | wc -l)
"""
LEFT = (
    "/home/baker",
    "/etc/sudoers.d/zz-bakery",
    "/etc/apt/apt.conf.d/zz-bakery",
    "/var/lib/cloud/instance",
    "/home/debian",
)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if given := os.environ.get("CLOUD_IMAGE"):  # made before, which saves minutes
        return Path(given)
    made = tmp_path_factory.mktemp("image") / "cloud.qcow2"
    cloud_image.make(made)
    return made


def without_boot_code(image: Path, folder: Path) -> Path:
    """The same image, which only UEFI boots."""
    raw, made = folder / "uefi.raw", folder / "uefi.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    with raw.open("r+b") as disk:
        disk.write(bytes(440))
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, made], check=True)
    raw.unlink()
    return made


def ordered(folder: Path, base: Base) -> BakeOrder:
    files = (
        source(folder, "packages/cloud/install.sh", INSTALL, 0o755),
        source(folder, "packages/cloud/share/text", "some"),
    )
    return replace(order("cloud", files, base), timeout=3600)  # an emulated machine boots in minutes


def locked(shop: Publisher, settings: Settings) -> Base:
    found = LocalBases(settings.local, settings.root).resolve(FAMILY, PROJECT)
    assert found.origin == f"{shop.url}/cloud.img"
    return Base(FAMILY, found.name, found.identity, PROJECT, found.origin)


def baked(settings: Settings, wanted: BakeOrder, *files: str) -> str:
    """Bake, check the image, and return the log."""
    bake = LocalOven(settings).bake(wanted, Activity(print))
    image = settings.state / "library" / "images" / f"{wanted.digest}.qcow2"
    held = manifest(image, cloud_image.ROOT[0])
    assert set(files) <= held.keys()
    assert [path for path in held if path.startswith(LEFT) or "/ssh_host_" in path] == []
    return Path(str(bake.log)).read_text()


@pytest.mark.parametrize("uefi", [False, True], ids=["bios", "uefi"])
def test_a_served_image_is_baked(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uefi: bool) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with publisher() as shop:
        content = (without_boot_code(image, tmp_path) if uefi else image).read_bytes()
        shop.files = {"/cloud.img": content, "/SHA256SUMS": f"{digest(content)} *cloud.img\n".encode()}
        base = {"image": f"{shop.url}/cloud.img", "checksum": f"{shop.url}/SHA256SUMS"}
        local = {"diskGb": 4, "memoryMb": 1024, "bases": {f"{PROJECT}/{FAMILY}": base}}
        settings = parse({"local": local}, "dev", tmp_path)
        shop.cuts = [len(content) // 2]
        wanted = ordered(tmp_path, locked(shop, settings))
        log = baked(settings, wanted, "/etc/baked-0")
    assert f"booted from {'UEFI' if uefi else 'a BIOS'}" in log
    if not uefi:  # an image that is baked from this one boots in the same way
        child = replace(ordered(tmp_path / "child", wanted.base), family="child", name="child-1", digest="c" * 64)
        baked(settings, on_parent(child, wanted), "/etc/baked-0", "/etc/baked-1")
