"""Work ends at the deadline of its process."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from bakery.errors import InputError, Interrupted, LimitReached
from bakery.host import process
from bakery.host.budget import Budget
from bakery.progress.activity import Activity
from bakery.progress.deadline import VARIABLE, cancel_at_deadline, passed, seconds_left
from bakery.settings import LimitSettings
from tests.support.checkout import make


def test_work_is_stopped_at_the_deadline_and_none_begins_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(int(time.time()) + 2))
    assert not passed()
    cancelled = threading.Event()
    cancel_at_deadline(cancelled)
    with pytest.raises(Interrupted, match="stopped at the deadline of this run, nothing is lost"):
        Activity(cancelled=cancelled).sleep(60)
    assert passed()
    with pytest.raises(Interrupted, match="sleep was stopped at the deadline of this run"):
        process.run(["sleep", "60"], activity=Activity(cancelled=cancelled))
    with pytest.raises(LimitReached, match="the bake of app was not begun: the time of this run is over") as raised:
        Budget(LimitSettings()).used("the bake of app").__enter__()
    assert raised.value.hint == "the next run continues from here"


def test_without_a_deadline_nothing_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    threads = threading.active_count()
    cancel_at_deadline(threading.Event())
    assert threading.active_count() == threads
    assert not passed()
    assert seconds_left() is None


@pytest.mark.parametrize("text", ["soon", "-1", "1e9", "\u0663", "9" * 400, "9" * 5000])
def test_a_deadline_that_is_no_time_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(InputError, match="write the seconds since 1970"):
        seconds_left()


def test_a_deadline_in_a_million_years_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "9" * 30)
    cancelled = threading.Event()
    cancel_at_deadline(cancelled)
    assert not cancelled.wait(0.2)


def test_a_command_ends_at_the_deadline(tmp_path: Path) -> None:
    checkout = make(tmp_path)
    checkout.configure(seconds=600)
    done = checkout.run("bake", "app", **{VARIABLE: str(int(time.time()) + 10)})
    assert done.returncode == 130, done.stderr
    assert "interrupted; nothing is lost" in done.stderr
    assert list((tmp_path / ".bakery" / "work").glob("bake-*")) == []
