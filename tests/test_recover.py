"""What a killed run left over is cleared, and nothing that may still be somebody's."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from bakery import recover

HERE = "this-machine"
DEAD = 4194304 + 7  # above the largest process id there is


def lock(backend: Path, pid: int, host: str = HERE, name: str = "a") -> Path:
    folder = backend / ".pulumi" / "locks" / "organization" / "image-bakery" / "dev"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"pid": pid, "hostname": host, "username": "u"}), encoding="utf-8")
    return file


def test_the_lock_of_a_dead_engine_is_cleared(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD)
    said, free = recover.clear_locks(tmp_path, "dev", HERE)
    assert not file.exists()
    assert free
    assert str(DEAD) in said[0]


def test_the_lock_of_another_machine_stays(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD, "other")
    assert recover.clear_locks(tmp_path, "dev", HERE) == ([], False)
    assert file.exists()


def test_the_lock_of_a_living_engine_stays(tmp_path: Path) -> None:
    proc = tmp_path / "proc" / "77"
    proc.mkdir(parents=True)
    (proc / "comm").write_text("pulumi\n", encoding="utf-8")
    assert not recover.Lock(tmp_path, 77, HERE).stale(HERE, tmp_path / "proc")


def test_a_process_id_that_was_used_again_holds_nothing(tmp_path: Path) -> None:
    assert recover.Lock(tmp_path, os.getpid(), HERE).stale(HERE)


def test_a_lock_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    file = lock(tmp_path, DEAD)
    file.write_text("{", encoding="utf-8")
    assert recover.clear_locks(tmp_path, "dev", HERE)[0] == []
    assert file.exists()


@pytest.mark.parametrize(
    ("url", "folder"),
    [("file:///a/b", Path("/a/b")), ("s3://bucket", None), ("", None), ("https://api.pulumi.com", None)],
)
def test_only_a_file_backend_is_looked_into(url: str, folder: Path | None) -> None:
    assert recover.backend_folder(url) == folder


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("pending", [False, True])
def test_pending_operations_are_seen_without_an_engine(tmp_path: Path, packed: bool, pending: bool) -> None:
    operation = {"type": "creating", "resource": {"urn": "urn:pulumi:dev::p::t::hpcc"}}
    latest = {"pending_operations": [operation]} if pending else {}
    data = json.dumps({"checkpoint": {"latest": latest}}).encode()
    folder = tmp_path / ".pulumi" / "stacks" / "image-bakery"
    folder.mkdir(parents=True)
    (folder / ("dev.json.gz" if packed else "dev.json")).write_bytes(gzip.compress(data) if packed else data)
    assert recover.has_pending(tmp_path, "dev") is pending


def test_no_state_has_nothing_pending(tmp_path: Path) -> None:
    assert recover.has_pending(tmp_path, "dev") is False
