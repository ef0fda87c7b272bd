"""Paths of this computer in the Spack settings become addresses that a machine reaches, and nothing else is served."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bakery import redaction
from bakery.errors import InputError
from bakery.host import process
from bakery.ovens.local.file_server import HOST, shared


def ask(address: str, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    """Ask as a machine would; QEMU makes the loopback address of its own."""
    parts = urlsplit(address)
    assert parts.hostname == HOST and parts.port
    connection = HTTPConnection("127.0.0.1", parts.port)
    connection.request(method, parts.path, body=body or None)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_addresses_stay_and_nothing_is_served_for_them(tmp_path: Path) -> None:
    given = {"spack_source": "https://example.org/spack.git", "spack_cache": "gs://bucket", "zone": "/here"}
    with shared(given, tmp_path) as variables:
        assert variables is given
    assert list(tmp_path.iterdir()) == []


def test_a_server_on_this_computer_is_reached_as_its_host(tmp_path: Path) -> None:
    given = {"spack_mirror": "http://127.0.0.1:81/spack", "spack_cache": "gs://bucket", "other": "http://127.0.0.1"}
    with shared(given, tmp_path) as variables:
        assert variables == {**given, "spack_mirror": "http://10.0.2.2:81/spack"}


def test_an_archive_a_mirror_and_a_cache(tmp_path: Path) -> None:
    (tmp_path / "mirror/a").mkdir(parents=True)
    (tmp_path / "mirror/a/b").write_bytes(b"source")
    (tmp_path / "spack-1.tar.gz").write_bytes(b"archive")
    (tmp_path / "cache.key").write_bytes(b"key")
    given = {
        "spack_source": f"file://{tmp_path}/spack-1.tar.gz",
        "spack_mirror": str(tmp_path / "mirror"),
        "spack_cache": str(tmp_path / "cache"),  # is made
        "spack_cache_key": str(tmp_path / "cache.key"),
        "zone": "x",
    }
    (tmp_path / "work").mkdir()
    with shared(given, tmp_path / "work") as variables:
        assert variables["zone"] == "x"
        assert variables["spack_source"].endswith(".tar.gz")
        assert ask(variables["spack_source"]) == (200, b"archive")
        assert ask(variables["spack_cache_key"]) == (200, b"key")
        assert ask(f"{variables['spack_mirror']}/a/b") == (200, b"source")
        assert ask(f"{variables['spack_cache']}/blobs/x", "PUT", b"binary")[0] == 201
        assert ask(f"{variables['spack_cache']}/blobs/x") == (200, b"binary")
    assert (tmp_path / "cache/blobs/x").read_bytes() == b"binary"
    assert list((tmp_path / "work").iterdir()) == []


def test_nothing_else_is_read_or_written(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    (tmp_path / "mirror").mkdir()
    given = {"spack_mirror": str(tmp_path / "mirror"), "spack_cache": str(tmp_path / "cache")}
    (tmp_path / "work").mkdir()
    with shared(given, tmp_path / "work") as variables:
        mirror, cache = variables["spack_mirror"], variables["spack_cache"]
        root = mirror.removesuffix("/spack_mirror")
        assert ask(f"{root.rpartition('/')[0]}/spack_mirror/")[0] == 404  # without the secret
        assert ask(f"{root}/")[0] == 404  # no listing
        assert ask(f"{cache}/../../../secret")[0] == 404
        assert ask(f"{mirror}/x", "PUT", b"x")[0] == 403
        assert ask(f"{cache}/../spack_mirror/x", "PUT", b"x")[0] == 403
    assert list((tmp_path / "mirror").iterdir()) == []


@pytest.mark.parametrize("ref", ["v1", ""])
def test_a_folder_is_packed_a_repository_at_its_ref(tmp_path: Path, ref: str) -> None:
    folder = tmp_path / "spack"
    folder.mkdir()
    (folder / "file").write_text("one", encoding="utf-8")
    git = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "one"], ["tag", "v1"]):
        process.output([*git, *command])
    (folder / "file").write_text("two", encoding="utf-8")
    (tmp_path / "work").mkdir()
    given = {"spack_packages_source": str(folder), "spack_packages_ref": ref}
    with shared(given, tmp_path / "work") as variables:
        content = ask(variables["spack_packages_source"])[1]
    (tmp_path / "got.tar.gz").write_bytes(content)
    with tarfile.open(tmp_path / "got.tar.gz") as tar:
        names = {Path(name).name: name for name in tar.getnames()}
        assert ".git" not in names
        member = tar.extractfile(names["file"])
        assert member and member.read() == (b"one" if ref else b"two")


@pytest.mark.parametrize("name", ["spack_source", "spack_packages_source", "spack_mirror"])
def test_a_path_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    given: Mapping[str, str] = {name: "/nowhere/spack"}
    with pytest.raises(InputError, match=r"/nowhere/spack does not exist"), shared(given, tmp_path):
        pass


@pytest.mark.parametrize("ref", ["v1", ""])
def test_a_secret_address_is_fetched_here_and_the_machine_gets_its_contents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ref: str
) -> None:
    address, git = "https://user:t0ken@example.invalid/spack.git", ["git", "-C", str(tmp_path / "spack")]
    monkeypatch.setattr(redaction, "_marks", {})
    redaction.hide({"spack.source": address})
    for name, value in {"COUNT": "1", "KEY_0": f"url.file://{tmp_path}/spack.insteadOf", "VALUE_0": address}.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    (tmp_path / "spack").mkdir()
    (tmp_path / "spack" / "a").write_text("x")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q"], ["add", "a"], [*who, "commit", "-qm", "a"], ["tag", "v1"]):
        process.output([*git, *command])
    work = tmp_path / "work"
    work.mkdir()
    with shared({"spack_source": address, "spack_ref": ref}, work) as variables:
        status, body = ask(variables["spack_source"])
        (tmp_path / "got.tar.gz").write_bytes(body)
    assert status == 200 and "t0ken" not in variables["spack_source"]
    with tarfile.open(tmp_path / "got.tar.gz") as got:
        assert "spack_source/a" in got.getnames()
    assert b"t0ken" not in b"".join(file.read_bytes() for file in work.rglob("*") if file.is_file())
