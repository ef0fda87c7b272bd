"""Spreads the work on many items over the machine's processors, by forks of this process.

A fork starts with everything that is in memory, which a new process of a pool would have to import and receive first.
Forks are used only where that is safe (Linux, no other thread). If one fails, this process does its work.
"""

import marshal
import os
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
    """Return ``work(item)`` for each of the items, in order. ``work`` only reads; its results are plain values."""
    count = max(1, min(_processors(), MOST, len(items) // SHARE)) if _safe() else 1
    first = [work(item) for item in items[:1]]  # here: it imports and caches what every fork needs
    shares = [items[1 + number :: count] for number in range(count)]
    forks = [_Fork(work, share) for share in shares[1:]]
    try:
        done = [[work(item) for item in shares[0]], *(fork.done() for fork in forks)]
    finally:
        for fork in forks:
            fork.end()
    return first + [done[index % count][index // count] for index in range(len(items) - 1)]


def _safe() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


def _processors() -> int:
    return len(os.sched_getaffinity(0))


class _Fork(Generic[Done]):
    """One share of the items in its own process."""

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
        """Run the child: it sends its results or exits silently, and never returns into its parent's code."""
        try:
            with os.fdopen(writing, "wb", closefd=False) as answer:
                marshal.dump(self.work(), answer)  # importing pickle takes longer than a warm plan has
        finally:
            os._exit(0)

    def done(self) -> list[Done]:
        """Return the results, computed here if the child sent none, so that an error is raised in this process."""
        if self.pid:
            with os.fdopen(self.reading, "rb", closefd=False) as answer, suppress(EOFError, ValueError, TypeError):
                results: list[Done] = marshal.loads(answer.read())  # load() reads value by value
                return results
        return self.work()

    def end(self) -> None:
        """Close the pipe and wait for the child, also after an interruption."""
        os.close(self.reading)  # ends a child that is still writing
        if self.pid:
            os.waitpid(self.pid, 0)
