"""Work that waits for its turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from bakery.errors import Interrupted
from bakery.host import turns
from bakery.host.turns import Turns
from bakery.progress.activity import Activity


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LOOK_SECONDS", 0.01)


def test_no_more_than_the_limit_work_at_the_same_time() -> None:
    made, lock = Turns(2, "x"), threading.Lock()
    working, most = 0, 0

    def work(_number: int) -> None:
        nonlocal working, most
        with made.held(Activity()):
            with lock:
                working += 1
                most = max(most, working)
            threading.Event().wait(0.02)
            with lock:
                working -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert (most, working) == (2, 0)


def test_who_waits_says_for_what_and_can_be_stopped() -> None:
    made = Turns(1, "google.bakesAtOnce")
    cancelled = threading.Event()
    said: list[str] = []

    def tell(phase: str) -> None:
        said.append(phase)
        cancelled.set()

    with made.held(Activity()), pytest.raises(Interrupted), made.held(Activity(tell, cancelled)):
        pytest.fail("it did not wait")
    assert said == ["waiting for others to end (google.bakesAtOnce)"]
    with made.held(Activity(tell)):
        assert len(said) == 1, "the turn was given back"


def test_without_a_limit_nothing_waits() -> None:
    said: list[str] = []
    made = Turns(0, "x")
    with made.held(Activity(said.append)), made.held(Activity(said.append)):
        assert said == []
