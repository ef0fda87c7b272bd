from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, Interrupted
from bakery.host import locks
from bakery.progress.activity import Activity
from tests.support.full_disk import fill, small_disk

HOLDER = """
import sys, time
from pathlib import Path
from bakery.host import locks
with locks.hold(Path(sys.argv[1]), "kneading"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_free_lock_is_held_without_waiting(tmp_path: Path):
    with locks.hold(tmp_path / "a" / "lock", "x") as waited:
        assert not waited
    with locks.hold(tmp_path / "a" / "lock", "x") as waited:
        assert not waited


def test_who_waits_is_told_for_what_and_gets_the_lock_when_its_process_is_killed(tmp_path: Path):
    file = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(file)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        said: list[str] = []

        def told(who: str) -> None:
            said.append(who)
            holder.kill()

        with locks.hold(file, "y", Activity(), told) as waited:
            assert waited
        assert said == [f"kneading (process {holder.pid})"]


def test_waiting_can_be_cancelled(tmp_path: Path):
    activity = Activity()
    with locks.hold(tmp_path / "lock", "x"):
        threading.Timer(0.1, activity.cancelled.set).start()
        with pytest.raises(Interrupted), locks.hold(tmp_path / "lock", "y", activity):
            pass


def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InfrastructureFailed, match="can't be locked"), locks.hold(tmp_path / "file" / "lock", "x"):
        pass


def test_an_owner_lives_as_long_as_that_very_process(tmp_path: Path):
    locks.sign(tmp_path, "x")
    owner = locks.owner(tmp_path)
    assert owner is not None and owner.alive and owner.pid == os.getpid()
    assert not replace(owner, started=owner.started - 1).alive  # a process id that is used again
    assert not replace(owner, boot="another").alive
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert not replace(owner, pid=gone.pid).alive


def test_an_owner_that_does_not_say_who_it_is(tmp_path: Path):
    assert locks.owner(tmp_path) is None
    (tmp_path / locks.OWNER_FILE).write_text(json.dumps({"pid": 1}))
    assert locks.owner(tmp_path) is None


def test_a_folder_that_was_just_made_is_not_taken_for_deserted_before_it_is_signed(tmp_path: Path):
    assert not locks.deserted(tmp_path)
    os.utime(tmp_path, (0, 0))
    assert locks.deserted(tmp_path)
    locks.sign(tmp_path, "x")
    assert not locks.deserted(tmp_path)
    assert not locks.deserted(tmp_path / "gone")


def test_a_folder_that_cannot_be_signed_on_a_full_disk_is_gone(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        made, used = disk / "made", disk / "used"
        made.mkdir()
        used.mkdir()
        (used / "result").touch()
        fill(disk)
        for folder in (made, used):
            with pytest.raises(InfrastructureFailed, match="No space left"):
                locks.sign(folder, "x")
        assert not made.exists()
        assert [path.name for path in used.iterdir()] == ["result"]
