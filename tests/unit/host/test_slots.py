from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bakery.errors import Interrupted
from bakery.host import slots
from bakery.host.slots import Capacity, capacity, take
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings

LIMIT = Capacity(2, 1000)
HOLDER = """
import sys, time
from pathlib import Path
from bakery.progress.activity import Activity
from bakery.host.slots import Capacity, take
with take(2, 10, Activity(), Capacity(2, 1000), Path(sys.argv[1])):
    print("inside", flush=True)
    time.sleep(60)
"""


def test_capacity_is_the_machines_unless_the_setting_says_otherwise():
    assert capacity(LocalSettings(slots=7)).cores == 7
    assert capacity(LocalSettings()).cores >= 1
    assert capacity(LocalSettings()).memory_mb > 100


def test_never_more_cores_or_memory_than_there_are(tmp_path: Path):
    running: list[tuple[int, int]] = []
    worst = [0, 0]
    lock = threading.Lock()

    def work(cores: int, memory: int) -> None:
        with take(cores, memory, Activity(), LIMIT, tmp_path):
            with lock:
                running.append((cores, memory))
                worst[0] = max(worst[0], sum(one[0] for one in running))
                worst[1] = max(worst[1], sum(one[1] for one in running))
            time.sleep(0.05)
            with lock:
                running.remove((cores, memory))

    threads = [threading.Thread(target=work, args=want) for want in [(1, 100), (1, 900), (2, 10), (1, 500)] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert worst[0] == 2
    assert worst[1] <= 1000
    assert list(tmp_path.glob("*.ticket")) == []


def test_who_wants_too_much_gets_in_alone(tmp_path: Path):
    inside, leave = threading.Event(), threading.Event()
    said: list[str] = []

    def work() -> None:
        with take(64, 10**6, Activity(), LIMIT, tmp_path):
            inside.set()
            leave.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(20)
    leaves = threading.Timer(0.5, leave.set)
    leaves.start()
    with take(1, 1, Activity(said.append), LIMIT, tmp_path):
        assert leave.is_set()
    assert said == ["waiting for a slot (1 ahead)"]
    thread.join(20)


def test_first_come_first_served_and_how_many_are_ahead_is_said(tmp_path: Path):
    order: list[str] = []
    said: list[str] = []
    waiting = threading.Event()

    def say(phase: str) -> None:
        said.append(phase)
        waiting.set()

    def big() -> None:
        with take(2, 10, Activity(say), LIMIT, tmp_path):
            order.append("big")

    def small() -> None:
        with take(1, 10, Activity(), LIMIT, tmp_path):
            order.append("small")

    with take(1, 10, Activity(), LIMIT, tmp_path):
        first = threading.Thread(target=big)
        first.start()
        assert waiting.wait(5)
        second = threading.Thread(target=small)  # would fit, but may not pass who came first
        second.start()
        time.sleep(0.6)
        assert order == []
    first.join(5)
    second.join(5)
    assert order == ["big", "small"]
    assert said[0] == "waiting for a slot (1 ahead)"


def test_a_killed_process_gives_its_slots_back(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "inside\n"
        holder.kill()
        holder.wait()
        with take(2, 10, Activity(), LIMIT, tmp_path):
            pass


def test_waiting_can_be_cancelled_and_leaves_no_ticket(tmp_path: Path):
    activity = Activity()
    with take(2, 10, Activity(), LIMIT, tmp_path):
        threading.Timer(0.1, activity.cancelled.set).start()
        with pytest.raises(Interrupted), take(1, 10, activity, LIMIT, tmp_path):
            pass
        assert len(list(tmp_path.glob("*.ticket"))) == 1


def test_a_ticket_that_finds_no_room_is_taken_away_and_holds_nobody_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(_file: Path, _ticket: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(slots, "_write", full)
        with pytest.raises(OSError, match="No space left"), take(1, 10, Activity(), LIMIT, tmp_path):
            pass
    assert list(tmp_path.glob("*.ticket")) == []
    with take(1, 10, Activity(), LIMIT, tmp_path):
        pass
