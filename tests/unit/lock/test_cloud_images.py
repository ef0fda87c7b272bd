"""Cloud images are resolved by publishers' listings and checksum files, here of servers with the real ones' layout."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bakery.errors import BakeryError, InfrastructureFailed, InputError, Uncertain
from bakery.lock import checksums
from bakery.lock.cloud_images import FAMILIES, READY, CloudImages, Published
from bakery.lock.resolve import LocalBases
from bakery.recipe.image_names import base_fault
from bakery.settings import LocalBase, LocalSettings
from tests.support import publisher as publishers
from tests.support.publisher import Publisher, digest

IMAGES = {"20260826": b"older", "20261004": b"newer"}


@pytest.fixture
def shop() -> Iterator[Publisher]:
    with publishers.publisher() as made:
        publishers.ubuntu(made, IMAGES)
        publishers.debian(made, {"20250814-2203": b"older", "20260923-2610": b"newer"})
        publishers.rocky(made, {"9.10-20270525.0": b"newer", "9.8-20260525.0": b"older"})
        publishers.alma(made, {"9.6-20250522": b"older", "9.7-20251118": b"newer"})
        yield made


def here(shop: Publisher) -> dict[str, Published]:
    return {key: replace(one, folder=shop.url + urlsplit(one.folder).path) for key, one in READY.items()}


def images(shop: Publisher, **bases: LocalBase) -> CloudImages:
    return CloudImages({f"p/{name}": base for name, base in bases.items()}, Path("/nowhere"), here(shop))


@pytest.mark.parametrize(
    ("name", "version", "algorithm", "file"),
    [
        ("ubuntu-22.04", "20261004", "sha256", f"/releases/jammy/release-20261004/{publishers.UBUNTU}"),
        ("debian-12", "20260923-2610", "sha512", f"/images/cloud/bookworm/20260923-2610/{publishers.DEBIAN}"),
        (
            *("rocky-9", "9-10-20270525-0", "sha256"),
            "/pub/rocky/9/images/x86_64/Rocky-9-GenericCloud-Base-9.10-20270525.0.x86_64.qcow2",
        ),
        ("alma-9", "9-7-20251118", "sha256", f"/almalinux/9/cloud/x86_64/images/{publishers.ALMA}"),
    ],
)
def test_the_newest_image_of_each_publisher_is_found(
    shop: Publisher, name: str, version: str, algorithm: str, file: str
) -> None:
    found = images(shop).resolve("any", LocalBase(name))
    assert found.name == f"{name.replace('.', '-')}-{version}"
    assert found.identity == f"{algorithm}:{digest(b'newer', algorithm)}"
    assert found.origin == shop.url + file
    assert base_fault(found.name) is None
    assert [path for path, _ in shop.asked if path.endswith((".img", ".qcow2"))] == [], "no image is downloaded"


def test_a_mirror_is_read_and_the_publishers_address_is_locked(shop: Publisher) -> None:
    mirrors = {"https://cloud-images.ubuntu.com": shop.url, "https://sums.example": f"{shop.url}/sums"}
    known = CloudImages({}, Path("/nowhere"), mirrors=mirrors)
    found = known.resolve("any", LocalBase("ubuntu-22.04"))
    folder = "https://cloud-images.ubuntu.com/releases/jammy/release-20261004/"
    assert (found.origin, found.identity) == (f"{folder}{publishers.UBUNTU}", f"sha256:{digest(b'newer')}")

    shop.files["/sums/all"] = f"{digest(b'own')}  own.qcow2\n".encode()
    own = known.resolve("any", LocalBase("https://images.example/own.qcow2", "https://sums.example/all"))
    assert (own.origin, own.identity) == ("https://images.example/own.qcow2", f"sha256:{digest(b'own')}")


def test_the_known_families_have_images_that_are_known() -> None:
    assert set(FAMILIES.values()) <= set(READY)
    for one in READY.values():
        assert one.folder.startswith("https://")
        assert one.folder.endswith("/")
        assert re.compile(one.file).groups + re.compile(one.releases).groups == 1, "one group is the version"


def test_what_the_settings_name_stands_before_what_is_known(shop: Publisher) -> None:
    own = LocalBase("debian-12")
    found = CloudImages({"ubuntu-os-cloud/ubuntu-2204-lts": own}, Path("/"), here(shop))
    assert found.find("ubuntu-2204-lts", "ubuntu-os-cloud") == own
    assert found.find("rocky-linux-9", "rocky-linux-cloud") == LocalBase("rocky-9")
    assert found.find("debian-12", "debian-cloud") is None, "it is made with mmdebstrap"


def test_an_address_with_a_file_of_checksums(shop: Publisher) -> None:
    folder = f"{shop.url}/pub/rocky/9/images/x86_64"
    base = LocalBase(f"{folder}/{publishers.ROCKY}", f"{folder}/CHECKSUM")
    found = images(shop).resolve("any", base)
    assert (found.identity, found.origin) == (f"sha256:{digest(b'older')}", base.image)
    assert found.name == f"rocky-9-genericcloud-base-9-8-20260525-0-x86-64-{digest(b'older')[:8]}"


def test_an_address_with_a_checksum_needs_no_network() -> None:
    checksum = f"sha512:{'ab' * 64}"
    found = CloudImages({}, Path("/")).resolve("any", LocalBase("https://nowhere.invalid/9%20x.raw.xz", checksum))
    assert (found.name, found.identity) == ("image-9-x-abababab", checksum)


def test_a_path_begins_at_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "disk.img").write_bytes(b"newer")
    found = CloudImages({}, tmp_path).resolve("my-base", LocalBase("./disk.img"))
    assert (found.name, found.origin) == (f"my-base-{digest(b'newer')[:8]}", "./disk.img")
    assert found.identity == f"sha256:{digest(b'newer')}"
    same = LocalBase("./disk.img", f"sha512:{digest(b'newer', 'sha512')}")
    assert CloudImages({}, tmp_path).resolve("my-base", same).identity == same.checksum


@pytest.mark.parametrize(
    ("base", "kind", "message"),
    [
        (LocalBase("ubuntu-9"), InputError, r"no cloud image is known as ubuntu-9 .*rocky-9"),
        (LocalBase("./none.img"), InputError, r"\./none\.img can't be read: No such file"),
        (LocalBase("/etc/passwd", f"sha256:{'0' * 64}"), InputError, "the checksum of /etc/passwd is sha256:"),
        (LocalBase("URL/a.img", "URL/SUMS"), InputError, "SUMS lists no checksum of a.img"),
        (LocalBase("URL/b.img", "URL/SUMS"), InputError, "SUMS lists two checksums of b.img"),
        (LocalBase("URL/a.img", "URL/none"), InfrastructureFailed, "none can't be read: 404 Not Found.*bakery lock"),
        (LocalBase("URL/a.img", "URL/broken"), Uncertain, "broken can't be read: 503"),
        (LocalBase("x://y/a.img", "http://127.0.0.1:1/S"), Uncertain, "can't be read: .*refused.*check the network"),
    ],
)
def test_what_cannot_be_resolved_says_why(shop: Publisher, base: LocalBase, kind: type, message: str) -> None:
    shop.files["/SUMS"] = f"{'1' * 64}  b.img\n{'2' * 64}  b.img\n{'3' * 40}  a.img\n".encode()
    shop.status["/broken"] = 503
    base = LocalBase(base.image.replace("URL", shop.url), base.checksum.replace("URL", shop.url))
    with pytest.raises(kind) as caught:
        images(shop).resolve("any", base)
    error: BakeryError = caught.value
    assert re.search(message, f"{error.message} {error.hint}")


def test_a_publisher_without_versions_is_a_problem(shop: Publisher) -> None:
    shop.files = {"/releases/jammy/other/x": b"", "/pub/rocky/9/images/x86_64/CHECKSUM": b"<html>"}
    with pytest.raises(InputError, match=r"lists no version of ubuntu-22\.04"):
        images(shop).resolve("any", LocalBase("ubuntu-22.04"))
    with pytest.raises(InputError, match="CHECKSUM lists no image of rocky-9"):
        images(shop).resolve("any", LocalBase("rocky-9"))


def test_a_family_that_is_no_cloud_image_is_asked_of_debian(tmp_path: Path) -> None:
    index = tmp_path / "dists" / "bookworm" / "InRelease"
    index.parent.mkdir(parents=True)
    index.write_bytes(b"Date: Sat, 11 Jul 2026 10:07:09 UTC\n")
    bases = LocalBases(LocalSettings(mirror=tmp_path.as_uri(), bases={"p/f": LocalBase("./f.img")}), tmp_path)
    (tmp_path / "f.img").write_bytes(b"x")
    assert bases.resolve("debian-12", "debian-cloud").origin == ""
    assert bases.resolve("f", "p").origin == "./f.img"


def test_only_signed_lines_count_and_windows_line_ends_do_not_matter() -> None:
    sums = checksums.parse(
        f"{'1' * 64}  before\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA512\r\n\r\n"
        f"- SHA256 (a b) = {'2' * 64}\r\n{'A' * 128} *./c\r\n-----BEGIN PGP SIGNATURE-----\r\n{'4' * 64}  after\r\n"
    )
    assert sums == {"a b": {f"sha256:{'2' * 64}"}, "c": {f"sha512:{'a' * 128}"}}
