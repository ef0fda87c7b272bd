"""Atomic writes: safe among threads and processes, nothing is left behind, and errors carry a hint."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bakery.errors import MAKE_ROOM, InfrastructureFailed
from bakery.host import files
from bakery.host.files import write_atomic
from tests.support.root import ROOT

WRITES = 50
THREADS = 8
HAMMER = f"""
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from bakery.host.files import write_atomic

def write(number):
    for _ in range({WRITES}):
        write_atomic(Path(sys.argv[1]), b"%d" % (number % 10) * 5000)

with ThreadPoolExecutor({THREADS}) as pool:
    list(pool.map(write, range({THREADS})))  # raises what a thread raised
"""
HALF = """
import os, signal, sys
from pathlib import Path
from bakery.host.files import write_atomic

def content():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)

write_atomic(Path(sys.argv[1]), content())
"""


def start(program: str, file: Path) -> subprocess.Popen[str]:
    """Start a Python program with the checkout on its path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program, str(file)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_threads_of_several_processes_write_one_file_and_readers_see_no_part(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file"
    writers = [start(HAMMER, file) for _ in range(3)]
    while not file.exists() and any(writer.poll() is None for writer in writers):
        time.sleep(0.01)
    seen = set()
    while any(writer.poll() is None for writer in writers):
        content = file.read_bytes()
        assert content == content[:1] * 5000
        seen.add(content[:1])
    assert [writer.communicate()[1] for writer in writers] == [""] * 3
    assert len(seen) > 1, "the reader must have met several writers"
    assert list(file.parent.iterdir()) == [file]


def test_a_killed_writer_leaves_the_previous_file_and_its_scratch_is_deleted_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    write_atomic(file, b"previous")
    killed = start(HALF, file)
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    assert file.read_bytes() == b"previous"
    (scratch,) = set(tmp_path.iterdir()) - {file}
    files._sweep.cache_clear()
    write_atomic(file, b"soon after")
    assert scratch.exists(), "its writer may be at work"
    os.utime(scratch, (0, 0))
    files._sweep.cache_clear()
    write_atomic(file, b"an hour later")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("exists", [True, False])
def test_an_error_of_the_content_is_passed_on_and_changes_nothing(tmp_path: Path, exists: bool) -> None:
    def content() -> Iterator[bytes]:
        yield b"half"
        raise EOFError("cut off")

    file = tmp_path / "file"
    if exists:
        file.write_bytes(b"previous")
    with pytest.raises(EOFError, match="cut off"):
        write_atomic(file, content())
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"previous"] * exists


def test_a_full_disk_has_a_hint_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InfrastructureFailed, match=r"/file: No space left") as raised:
        write_atomic(tmp_path / "file", b"content", sync=True)
    assert raised.value.hint == MAKE_ROOM
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureFailed, match="File exists"):
        write_atomic(tmp_path / "file" / "below", b"")


def test_file_and_folder_are_synced_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(files, "sync_to_disk", lambda path: synced.append(path.name))
    write_atomic(tmp_path / "file", b"")
    assert synced == []
    write_atomic(tmp_path / "file", b"", sync=True)
    assert synced[0].startswith(files.SCRATCH)
    assert synced[1:] == [tmp_path.name]


def test_the_mode_is_that_of_other_new_files_unless_given(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    write_atomic(tmp_path / "file", b"")
    write_atomic(tmp_path / "private", b"", mode=0o600)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "usual").stat().st_mode
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600


def test_the_last_of_many_threads_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(lambda n: write_atomic(tmp_path / "file", b"%d" % n), range(64))) == [None] * 64
    assert int((tmp_path / "file").read_bytes()) in range(64)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]
