"""Which packages a newer base image changes, by the lists of its publisher."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from bakery.lock.model import LockedBase
from bakery.lock.package_lists import SNAPSHOT, changes
from bakery.settings import Mirrors

UBUNTU = "https://cloud-images.ubuntu.com/releases/noble"
EVERYWHERE = {"Priority": "required", "Section": "shells"}


def stanza(name: str, version: str, priority: str = "required") -> str:
    return f"Package: {name}\nSource: {name}\nVersion: {version}\nPriority: {priority}\nDescription: x\n Version: 9\n"


def index(folder: Path, archive: str, day: str, dist: str, *stanzas: str, place: str = "binary-amd64") -> None:
    file = folder / archive / f"{day}T235959Z" / "dists" / dist / "main" / place / "Packages.xz"
    file.parent.mkdir(parents=True)
    file.write_bytes(lzma.compress("\n".join(stanzas).encode()))


def debian(name: str, identity: str) -> LockedBase:
    return LockedBase(name, identity)


@pytest.fixture
def mirrors(tmp_path: Path) -> Mirrors:
    at = tmp_path.as_uri()
    return Mirrors(apt={SNAPSHOT: at}, cloud_images={UBUNTU: at})


def test_a_point_release_of_debian_changes_the_packages_that_each_debian_has(tmp_path: Path, mirrors: Mirrors) -> None:
    kernel = "linux-image-amd64"
    before = [stanza("bash", "5.2-1"), stanza("libc6", "2.36-9"), stanza("gone", "1"), stanza("gimp", "1", "optional")]
    after = [stanza("bash", "5.2-2"), stanza("libc6", "2.36-9"), stanza("gimp", "2", "optional")]
    index(tmp_path, "debian", "20260711", "bookworm", *before, stanza(kernel, "6.1.1", "optional"))
    index(tmp_path, "debian", "20260912", "bookworm", *after, stanza(kernel, "6.1.2", "optional"), stanza("fresh", "1"))
    found = changes(debian("debian-12-20260711", "inrelease:1"), debian("debian-12-20260912", "inrelease:2"), mirrors)
    assert found == (
        "bash 5.2-1 -> 5.2-2",
        "fresh (new) -> 1",
        "gone 1 -> (removed)",
        "linux-image-amd64 6.1.1 -> 6.1.2",
    )


@pytest.mark.parametrize(
    ("before", "after", "place"),
    [
        ("debian-12-bookworm-v20260113", "debian-12-bookworm-v20260210", "binary-amd64"),
        ("debian-12-bookworm-arm64-v20260113", "debian-12-bookworm-arm64-v20260210", "binary-arm64"),
        ("debian-12-20260113-2355", "debian-12-20260210-2383", "binary-amd64"),
    ],
)
def test_images_that_are_made_daily_have_security_updates(
    tmp_path: Path, mirrors: Mirrors, before: str, after: str, place: str
) -> None:
    for day, update in (("20260113", "3.0-1+u1"), ("20260210", "3.0-1+u2")):
        index(tmp_path, "debian", day, "bookworm", stanza("openssl", "3.0-1", "standard"), place=place)
        index(tmp_path, "debian-security", day, "bookworm-security", stanza("openssl", update, "standard"), place=place)
    assert changes(debian(before, "id:1"), debian(after, "id:2"), mirrors) == ("openssl 3.0-1+u1 -> 3.0-1+u2",)


def test_ubuntus_images_have_a_manifest(tmp_path: Path, mirrors: Mirrors) -> None:
    bases = []
    for day, version in (("20260101", "1.0"), ("20260201", "1.1")):
        folder = tmp_path / f"release-{day}"
        folder.mkdir()
        name = "ubuntu-24.04-server-cloudimg-amd64"
        manifest = f"adduser\t3.137ubuntu1\ncloud-init\t{version}\nsnap:core22\tlatest/stable\t{version}\n"
        (folder / f"{name}.manifest").write_text(manifest)
        origin = f"{UBUNTU}/release-{day}/{name}.img"
        bases.append(LockedBase(f"ubuntu-24-04-{day}", f"sha256:{day}", origin=origin))
    assert changes(*bases, mirrors) == ("cloud-init 1.0 -> 1.1", "snap:core22 1.0 -> 1.1")


@pytest.mark.parametrize(
    "name", ["rocky-9-20260101", "debian-99-20260101", "my-image", "debian-12-20260101", "debian-12-20260102"]
)
def test_what_is_not_listed_or_damaged_is_not_known(tmp_path: Path, mirrors: Mirrors, name: str) -> None:
    index(tmp_path, "debian", "20260102", "bookworm")
    file = next(tmp_path.rglob("Packages.xz"))
    file.write_bytes(file.read_bytes()[:-5])
    assert changes(debian(name, "inrelease:1"), debian(name, "inrelease:2"), mirrors) is None
