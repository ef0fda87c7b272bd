"""Large files are downloaded once, resumed and verified."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, Interrupted
from bakery.host import download as module
from bakery.host.download import download
from bakery.progress.activity import Activity
from tests.support.publisher import Publisher, digest, publisher

CONTENT = random.Random(1).randbytes(3 << 20)  # the same in every worker: it is in the names of tests
RIGHT = f"sha256:{digest(CONTENT)}"


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(module, "SAID_SECONDS", 0.0)
    with publisher() as made:
        made.files["/a.img"] = CONTENT
        yield made


def left(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


@pytest.mark.parametrize("checksum", [RIGHT, f"sha512:{digest(CONTENT, 'sha512')}"])
def test_a_download_says_how_far_it_is(shop: Publisher, tmp_path: Path, checksum: str) -> None:
    said: list[str] = []
    download(f"{shop.url}/a.img", tmp_path / "a", checksum, Activity(said.append))
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert said[0].startswith("downloading a.img: ")
    assert said[-2:] == ["downloading a.img: 3 of 3 MiB", "checking a.img"]
    assert shop.asked == [("/a.img", "")]
    assert left(tmp_path) == ["a"]


def test_a_lost_connection_is_continued(shop: Publisher, tmp_path: Path) -> None:
    shop.cuts = [1 << 20, 0, 12345]
    download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert (tmp_path / "a").read_bytes() == CONTENT
    begins = [f"bytes={1 << 20}-", f"bytes={1 << 20}-", f"bytes={(1 << 20) + 12345}-"]
    assert shop.asked == [("/a.img", ""), *(("/a.img", begin) for begin in begins)]


def test_the_next_call_continues_what_an_earlier_one_left(shop: Publisher, tmp_path: Path) -> None:
    shop.cuts = [1 << 20] + [0] * module.ATTEMPTS
    with pytest.raises(InfrastructureFailed, match="the connection was lost after 1 MiB") as caught:
        download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert "check the network" in caught.value.hint
    assert left(tmp_path) == ["a.part"]
    download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert shop.asked[-1] == ("/a.img", f"bytes={1 << 20}-")
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_server_that_knows_no_ranges_sends_all_of_it_again(shop: Publisher, tmp_path: Path) -> None:
    shop.ranges = False
    (tmp_path / "a.part").write_bytes(CONTENT[:1000])
    download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_what_had_arrived_completely_is_not_asked_for_again(shop: Publisher, tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(CONTENT)
    download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert shop.asked == [("/a.img", f"bytes={len(CONTENT)}-")]


@pytest.mark.parametrize("rest", [b"part of another file", CONTENT + b"longer"])
def test_the_rest_of_another_file_is_thrown_away(shop: Publisher, tmp_path: Path, rest: bytes) -> None:
    (tmp_path / "a.part").write_bytes(rest)
    download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_a_wrong_file_is_deleted(shop: Publisher, tmp_path: Path) -> None:
    shop.files["/a.img"] = b"replaced"
    with pytest.raises(InfrastructureFailed, match=rf"is sha256:{digest(b'replaced')}, not {RIGHT}") as caught:
        download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert "bakery lock" in caught.value.hint
    assert left(tmp_path) == []
    assert len(shop.asked) == 1


@pytest.mark.parametrize(("code", "hint"), [(404, "bakery lock"), (403, "proxy"), (500, "try again")])
def test_a_refusal_says_its_code(shop: Publisher, tmp_path: Path, code: int, hint: str) -> None:
    shop.status["/a.img"] = code
    with pytest.raises(InfrastructureFailed, match=rf"a\.img can't be read: {code} ") as caught:
        download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert hint in caught.value.hint
    assert left(tmp_path) == []


def test_without_a_network_it_says_so(shop: Publisher, tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFailed, match=r"can't be downloaded: .*refused") as caught:
        download("http://127.0.0.1:1/a.img", tmp_path / "a", RIGHT, Activity())
    assert "proxy" in caught.value.hint


def test_what_does_not_fit_is_not_begun(shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=2 << 20)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _folder: free)
    with pytest.raises(InfrastructureFailed, match="3 MiB do not fit on the disk"):
        download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert left(tmp_path) == []


def test_a_full_disk_gives_its_room_back(shop: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "_pour", full)
    with pytest.raises(InfrastructureFailed, match="No space left on device"):
        download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, Activity())
    assert left(tmp_path) == []


def test_a_cancelled_download_keeps_what_it_has(shop: Publisher, tmp_path: Path) -> None:
    activity = Activity()
    activity.cancelled.set()
    with pytest.raises(Interrupted):
        download(f"{shop.url}/a.img", tmp_path / "a", RIGHT, activity)
    assert left(tmp_path) == ["a.part"]
