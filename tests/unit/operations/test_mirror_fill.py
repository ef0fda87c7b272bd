"""``bakery mirror fill``: what can be fetched is in the folder, verified, and everything else is reported at once."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.host import download
from bakery.operations import mirror_fill
from bakery.operations.mirror_fill import Filled
from bakery.plan.address import Address, FetchKind
from bakery.progress.activity import Activity
from bakery.settings import parse
from tests.support.publisher import Publisher, digest, publisher

SUMS = "/hashicorp/packer-plugin-qemu/releases/download/v1.1.0/packer-plugin-qemu_v1.1.0_SHA256SUMS"
ZIP = "packer-plugin-qemu_v1.1.0_x5.0_linux_amd64.zip"
ENGINE_FILE = "pulumi-v3.1.0-linux-x64.tar.gz"
ENGINE_SUMS = "/pulumi/pulumi/releases/download/v3.1.0/pulumi-3.1.0-checksums.txt"
IMAGE, ARCHIVE, ENGINE = b"an image" * 1000, b"a plugin", b"an engine"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(download, "WAIT_SECONDS", 0.0)
    with publisher() as made:
        sums = f"{digest(ARCHIVE)}  {ZIP}\n{digest(b'other')}  {ZIP.replace('amd64', 'arm64')}\n"
        folder = SUMS.rpartition("/")[0]
        made.files |= {"/images/a.qcow2": IMAGE, SUMS: sums.encode(), f"{folder}/{ZIP}": ARCHIVE, "/e.tar.gz": ENGINE}
        made.files |= {f"/sdk/{ENGINE_FILE}": ENGINE, ENGINE_SUMS: f"{digest(ENGINE)}  {ENGINE_FILE}\n".encode()}
        monkeypatch.setattr(mirror_fill, "GITHUB", made.url)
        yield made


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of Python, in the only place where pip looks."""
    file = tmp_path / "links/one_more-1.2-py3-none-any.whl"
    file.parent.mkdir()
    info = "one_more-1.2.dist-info"
    texts = {
        "METADATA": "Metadata-Version: 2.1\nName: one-more\nVersion: 1.2\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(file, "w") as packed:
        for name, text in texts.items():
            packed.writestr(f"{info}/{name}", text)
    monkeypatch.setenv("PIP_FIND_LINKS", str(file.parent))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    return file


def fill(folder: Path, monkeypatch: pytest.MonkeyPatch, *addresses: Address) -> Filled:
    monkeypatch.setattr(mirror_fill, "addresses", lambda _backend: addresses)
    return mirror_fill.fill(backend(parse({}, "dev", folder)), folder / "mirror", Activity())


def image(shop: Publisher, checksum: str = digest(IMAGE)) -> Address:
    return Address(
        FetchKind.CLOUD_IMAGE, f"{shop.url}/images/a.qcow2", "http://m.example", "1", (f"sha256:{checksum}",)
    )


def test_files_are_at_host_and_path_of_their_publisher(
    shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = Address(FetchKind.PACKER_PLUGIN, f"{shop.url}{SUMS}", version="v1.1.0")
    engine = Address(FetchKind.PULUMI, f"{shop.url}/e.tar.gz")
    done = fill(tmp_path, monkeypatch, image(shop), plugin, engine)
    assert done.problems == ()
    host = shop.url.removeprefix("http://")
    folder = SUMS.rpartition("/")[0]
    assert done.files == (f"{host}/images/a.qcow2", f"{host}{SUMS}", f"{host}{folder}/{ZIP}", f"{host}/e.tar.gz")
    contents = [(tmp_path / "mirror" / file).read_bytes() for file in done.files]
    assert contents == [IMAGE, shop.files[SUMS], ARCHIVE, ENGINE]


def test_a_second_call_fetches_only_what_is_missing_or_damaged(
    shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (file,) = fill(tmp_path, monkeypatch, image(shop)).files
    assert fill(tmp_path, monkeypatch, image(shop)).files == (file,)
    assert [path for path, _ in shop.asked] == ["/images/a.qcow2"]
    (tmp_path / "mirror" / file).write_bytes(b"damaged")
    fill(tmp_path, monkeypatch, image(shop))
    assert (tmp_path / "mirror" / file).read_bytes() == IMAGE


def test_what_was_interrupted_is_continued(shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.cuts = [3000] + [0] * download.ATTEMPTS
    assert fill(tmp_path, monkeypatch, image(shop)).files == ()
    assert fill(tmp_path, monkeypatch, image(shop)).problems == ()
    assert shop.asked[-1] == ("/images/a.qcow2", "bytes=3000-")


def test_all_problems_are_reported_and_the_rest_is_fetched(
    shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = image(shop, digest(b"another"))
    gone = Address(FetchKind.PULUMI, f"{shop.url}/gone.tar.gz")
    ranged = Address(FetchKind.PACKER_PLUGIN, f"{shop.url}/o/packer-plugin-x/releases", version="~> 1")
    up = Address(FetchKind.PULUMI, f"{shop.url}/a/../../b")
    engine = Address(FetchKind.PULUMI, f"{shop.url}/e.tar.gz")
    done = fill(tmp_path, monkeypatch, wrong, gone, ranged, up, engine)
    assert [problem.file for problem in done.problems] == [wrong.url, gone.url, ranged.url, up.url]
    assert "the checksum of" in done.problems[0].message
    assert "404" in done.problems[1].message
    assert "~> 1 is not one version" in done.problems[2].message
    assert [Path(file).name for file in done.files] == ["e.tar.gz"]
    left = [file.name for file in (tmp_path / "mirror").rglob("*") if file.is_file()]
    assert left == ["e.tar.gz"]


def test_the_engine_has_the_checksum_of_its_release(
    shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Address(FetchKind.PULUMI, f"{shop.url}/sdk/{ENGINE_FILE}", version="3.1.0")
    assert fill(tmp_path, monkeypatch, engine).problems == ()
    shop.files[f"/sdk/{ENGINE_FILE}"] = b"another"
    done = fill(tmp_path / "other", monkeypatch, engine)
    assert "the checksum of" in done.problems[0].message
    shop.files[ENGINE_SUMS] = b""
    assert "does not list one checksum" in fill(tmp_path / "third", monkeypatch, engine).problems[0].message


def test_a_package_of_python_is_one_of_its_locked_files(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = f"sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}"
    package = Address(FetchKind.PYPI, "pkg:pypi/One_more@1.2", version="1.2", checksums=(f"sha256:{'0' * 64}", right))
    done = fill(tmp_path, monkeypatch, package)
    assert (done.files, done.problems) == ((f"pypi/one-more/{wheel.name}",), ())
    wheel.unlink()
    assert fill(tmp_path, monkeypatch, package).files == done.files, "it is there"
    assert sorted(file.name for file in (tmp_path / "mirror").iterdir()) == ["pypi"]


def test_a_package_with_another_hash_is_not_taken(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = Address(FetchKind.PYPI, "pkg:pypi/one-more@1.2", version="1.2", checksums=(f"sha256:{'0' * 64}",))
    done = fill(tmp_path, monkeypatch, package)
    assert len(done.problems) == 1
    assert not list((tmp_path / "mirror/pypi").rglob("*.whl"))


def test_what_has_no_file_is_left_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    containers = [Address(FetchKind.CONTAINER, name) for name in ("a:1", "b:2")]
    done = fill(tmp_path, monkeypatch, *containers, Address(FetchKind.APT, "http://a.example/dists/x/InRelease"))
    assert done.files == ()
    assert [line.partition(";")[0] for line in done.left] == ["apt: 1 not fetched", "containers: 2 not fetched"]
