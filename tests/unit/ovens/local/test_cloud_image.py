"""Cloud images become base images: downloaded once, unpacked, refused if they are none."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bakery import paths
from bakery.errors import InfrastructureFailed, MissingTool
from bakery.host.hardware import ARM, X86
from bakery.ovens.local import base_image, cloud_image
from bakery.ovens.local.machine import BakeMachine, make_seed
from bakery.plan.summary import Base
from bakery.progress.activity import Activity
from bakery.settings import Accelerator, LocalSettings, Mirrors, NetworkSettings
from tests.support.publisher import Publisher, publisher

SETTINGS = LocalSettings()
BOOTABLE = b"\xeb\x63\x90".ljust(510, b"\1") + b"\x55\xaa"
UEFI_ONLY = bytes(510) + b"\x55\xaa"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return paths.cache() / "bases"


@pytest.fixture
def shop() -> Iterator[Publisher]:
    with publisher() as made:
        yield made


def raw(first: bytes = BOOTABLE) -> bytes:
    return first + os.urandom(64 << 10) + bytes(1 << 20)


def qcow2(folder: Path, first: bytes = BOOTABLE) -> bytes:
    (folder / "made.raw").write_bytes(raw(first))
    command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", folder / "made.raw", folder / "made.qcow2"]
    subprocess.run(command, check=True)
    return (folder / "made.qcow2").read_bytes()


def zstd(content: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout


def base_of(content: bytes, origin: str, algorithm: str = "sha256") -> Base:
    digest = hashlib.new(algorithm, content).hexdigest()
    return Base("ubuntu-2204-lts", "ubuntu-22-04-1", f"{algorithm}:{digest}", "ubuntu-os-cloud", origin)


def test_an_image_is_downloaded_from_its_mirror(shop: Publisher, tmp_path: Path) -> None:
    content = raw()
    shop.files["/mirror/a.img"] = content
    mirrors = Mirrors(cloud_images={"https://images.example": f"{shop.url}/mirror"})
    base = base_of(content, "https://images.example/a.img")
    found = base_image.get(
        base, SETTINGS, Activity(), tmp_path / "log", tmp_path, network=NetworkSettings(mirrors=mirrors)
    )
    assert found.disk.is_file()
    assert [path for path, _ in shop.asked] == ["/mirror/a.img"]


def got(base: Base, folder: Path) -> bytes:
    """The content of the disk that a bake of this base starts from."""
    found = base_image.get(base, SETTINGS, Activity(), folder / "log", folder)
    assert found.cloud
    assert found.boot is None
    plain = folder / "plain.raw"
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", found.disk, plain], check=True)
    return plain.read_bytes()


@pytest.mark.parametrize("pack", [bytes, lzma.compress, gzip.compress, zstd])
def test_a_raw_disk_is_downloaded_once(shop: Publisher, tmp_path: Path, cache: Path, pack) -> None:
    disk = raw()
    content = pack(disk)
    shop.files["/disk.img"] = content
    base = base_of(content, f"{shop.url}/disk.img", "sha512")
    assert got(base, tmp_path) == got(base, tmp_path) == disk
    assert shop.asked == [("/disk.img", "")]
    assert sorted(file.name for file in cache.iterdir()) == [cloud_image.key(base), f"{cloud_image.key(base)}.lock"]


def test_a_qcow2_image_at_a_path_of_the_checkout(tmp_path: Path) -> None:
    content = qcow2(tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.img").write_bytes(lzma.compress(content))
    base = base_of(lzma.compress(content), "images/a.img")
    assert got(base, tmp_path) == (tmp_path / "made.raw").read_bytes()
    assert (tmp_path / "images" / "a.img").exists(), "it is the user's"


def damaged(content: bytes) -> bytes:
    return content[:8] + b"\0\0\0\0\0\0\1\0" + content[16:]


def external(content: bytes) -> bytes:
    return content[:72] + b"\0\0\0\0\0\0\0\4" + content[80:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: b"<html>moved</html>", "is not a disk image"),
        (lambda _: b"", "is not a disk image"),
        (lambda _: gzip.compress(b"text"), "is not a disk image"),
        (lambda content: lzma.compress(content)[:-900], "can't be unpacked"),
        (lambda content: content[:-70000], "is damaged or cut off"),
        (damaged, "refers to another file"),
        (external, "refers to another file"),
    ],
)
def test_what_is_no_image_is_refused_and_not_kept(tmp_path: Path, cache: Path, change, message: str) -> None:
    content = change(qcow2(tmp_path))
    (tmp_path / "a.img").write_bytes(content)
    with pytest.raises(InfrastructureFailed, match=rf"\./a\.img {message}") as caught:
        got(base_of(content, "./a.img"), tmp_path)
    assert caught.value.hint
    assert [file.suffix for file in cache.iterdir()] == [".lock"]


def test_a_path_whose_content_changed_is_refused(tmp_path: Path) -> None:
    base = base_of(b"before", "./a.img")
    with pytest.raises(InfrastructureFailed, match="does not exist"):
        got(base, tmp_path)
    (tmp_path / "a.img").write_bytes(b"after")
    with pytest.raises(InfrastructureFailed, match=r"the checksum of .* not sha256:") as caught:
        got(base, tmp_path)
    assert "bakery lock" in caught.value.hint


def test_the_rest_of_a_download_is_continued_by_the_next_bake(shop: Publisher, tmp_path: Path, cache: Path) -> None:
    disk = raw()
    base = base_of(disk, f"{shop.url}/a.img")
    cache.mkdir(parents=True)
    (cache / f"{cloud_image.key(base)}.download.part").write_bytes(disk[:70000])
    shop.files["/a.img"] = disk
    assert got(base, tmp_path) == disk
    assert shop.asked == [("/a.img", "bytes=70000-")]


def test_another_checksum_is_another_image() -> None:
    base = base_of(b"a", "x")
    assert cloud_image.key(base) == cloud_image.key(base._replace(origin="elsewhere", family="other"))
    assert cloud_image.key(base) != cloud_image.key(base_of(b"b", "x"))


def test_a_disk_without_code_for_a_bios_needs_uefi(tmp_path: Path) -> None:
    disk = tmp_path / "made.qcow2"
    qcow2(tmp_path)
    assert cloud_image.firmware(disk, tmp_path) is None
    qcow2(tmp_path, UEFI_ONLY)
    lacking = replace(X86, firmware=tmp_path / "OVMF.fd")
    with pytest.raises(MissingTool) as caught:
        cloud_image.firmware(disk, tmp_path, lacking)
    assert "apt-get install --no-install-recommends ovmf" in caught.value.hint
    (tmp_path / "OVMF.fd").touch()
    assert cloud_image.firmware(disk, tmp_path, lacking) == tmp_path / "OVMF.fd"


def test_machines_for_arm_have_no_bios(tmp_path: Path) -> None:
    lacking = replace(ARM, firmware=tmp_path / "QEMU_EFI.fd")
    with pytest.raises(MissingTool, match=r"machines for arm64 boot with UEFI, and .* does not exist") as caught:
        cloud_image.firmware(tmp_path / "not read", tmp_path, lacking)
    assert "apt-get install --no-install-recommends qemu-efi-aarch64" in caught.value.hint


def test_a_machine_without_a_known_kernel_has_a_disk_for_cloud_init(tmp_path: Path) -> None:
    machine = BakeMachine(tmp_path, tmp_path / "console", Accelerator.TCG, 1, 512, (1, 2), firmware=Path("/OVMF.fd"))
    arguments = machine.builder["qemuargs"]
    assert ["-bios", "/OVMF.fd"] in arguments
    (drive,) = [words for key, words in arguments if key == "-drive" and "vvfat" in words]
    assert f"file.dir={tmp_path}/cidata,file.label=cidata" in drive
    make_seed(tmp_path, "baker")
    assert sorted(file.name for file in (tmp_path / "cidata").iterdir()) == ["meta-data", "user-data"]
