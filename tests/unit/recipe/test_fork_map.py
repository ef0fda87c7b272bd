"""Work spread over processes gives what one process gives, whatever happens to the others."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from bakery.recipe import fork_map as module
from bakery.recipe.fork_map import SHARE, fork_map

HERE = os.getpid()


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine of three processors, and no child left at the end."""
    monkeypatch.setattr(module, "_processors", lambda: 3)
    monkeypatch.setattr(module, "_safe", lambda: True)
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def pipes() -> set[str]:
    """The open pipes of this process, by their numbers in the kernel."""
    found = (entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return {str(link) for link in found if str(link).startswith("pipe:")}


def workers(count: int) -> set[int]:
    def work(_item: int) -> int:
        time.sleep(0.001)  # so that every process gets its turn
        return os.getpid()

    return set(fork_map(work, range(count)))


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("count", [0, 1, SHARE, 3 * SHARE, 3 * SHARE + 1, 1000])
def test_the_order_stays(count: int) -> None:
    assert fork_map(lambda item: item * 2, range(count)) == [item * 2 for item in range(count)]


@pytest.mark.usefixtures("three")
def test_only_much_work_is_shared() -> None:
    assert workers(2 * SHARE - 1) == {HERE}
    assert len(workers(2 * SHARE)) == 2
    assert len(workers(9 * SHARE)) == 3


@pytest.mark.usefixtures("three")
def test_what_a_killed_process_leaves_is_done_here(tmp_path: Path) -> None:
    tried = tmp_path / "tried"

    def work(item: int) -> tuple[int, int]:
        if os.getpid() == HERE:
            time.sleep(0.001)  # the others come that far first
        elif item >= 50:
            tried.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return item, os.getpid()

    found = fork_map(work, range(300))
    assert [item for item, _ in found] == list(range(300))
    assert tried.exists()
    assert {pid for item, pid in found if item >= 50} == {HERE}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("wrong", [0, 1])  # this process, another one
def test_an_error_is_raised_here(wrong: int) -> None:
    def work(item: int) -> int:
        if (os.getpid() == HERE) is (wrong == 0):
            raise KeyError("wrong")
        time.sleep(0.001)
        return item

    with pytest.raises(KeyError, match="wrong") if wrong == 0 else nullcontext():
        assert fork_map(work, range(300)) == [*range(300)]


@pytest.mark.usefixtures("three")
def test_an_error_of_an_item_is_raised_whoever_meets_it() -> None:
    def work(item: int) -> int:
        if item == 150:
            raise KeyError("wrong")
        return item

    with pytest.raises(KeyError, match="wrong"):
        fork_map(work, range(300))


@pytest.mark.usefixtures("three")
def test_without_room_for_a_process_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", full)
    before = pipes()
    assert workers(300) == {HERE}
    assert pipes() <= before


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_processors", lambda: 3)
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert workers(1000) == {HERE}
    finally:
        done.set()
        other.join()
