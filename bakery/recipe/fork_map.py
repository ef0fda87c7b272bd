"""Spreads work on many items over the machine's processors, by forks of this process.

A fork begins with all that is in memory already, which a new process of a pool would first import and be told. It is
only made where that is safe (Linux, no other thread); whatever comes of it, this process can do the work itself.
"""

import os
import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, NoReturn, TypeVar

SHARE = 100  # items that are worth a process
MOST = 8  # processes

Item = TypeVar("Item")
Done = TypeVar("Done")


def fork_map(work: Callable[[Item], Done], items: Sequence[Item]) -> list[Done]:
    """``work`` for each of the items, in order. ``work`` only reads; what it gives can be pickled."""
    count = max(1, min(_processors(), MOST, len(items) // SHARE)) if _safe() else 1
    shares = [items[number::count] for number in range(count)]
    forks = [_Fork(work, share) for share in shares[1:]]
    try:
        done = [[work(item) for item in shares[0]], *(fork.done() for fork in forks)]
    finally:
        for fork in forks:
            fork.end()
    return [done[index % count][index // count] for index in range(len(items))]


def _safe() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


def _processors() -> int:
    return len(os.sched_getaffinity(0))


class _Fork(Generic[Done]):
    """One share in a process of its own."""

    def __init__(self, work: Callable[[Item], Done], share: Sequence[Item]) -> None:
        self.work: Callable[[], list[Done]] = lambda: [work(item) for item in share]
        self.reading, writing = os.pipe()
        try:
            self.pid = os.fork() or self._run(writing)
        except OSError:  # no more processes: done() does it here
            self.pid = 0
        finally:
            os.close(writing)

    def _run(self, writing: int) -> NoReturn:
        """The child: it answers or ends without a word, and never goes on in its parent's code."""
        try:
            with os.fdopen(writing, "wb", closefd=False) as answer:
                pickle.dump(self.work(), answer, protocol=pickle.HIGHEST_PROTOCOL)
        finally:
            os._exit(0)

    def done(self) -> list[Done]:
        """Its answers; worked out here when there is none, so that an error is raised where it can be told."""
        if self.pid:
            with os.fdopen(self.reading, "rb", closefd=False) as answer, suppress(EOFError, pickle.UnpicklingError):
                found: list[Done] = pickle.load(answer)
                return found
        return self.work()

    def end(self) -> None:
        """Leave nothing behind, also after an interruption."""
        os.close(self.reading)  # a child that still writes ends
        if self.pid:
            os.waitpid(self.pid, 0)
