"""Spreads the work on many items over the machine's processors, by forks of this process.

A fork starts with everything that is in memory, which a new process of a pool would have to import and receive first.
Forks are used only where that is safe (Linux, no other thread). If one fails, this process does its work.
"""

import marshal
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Generic, NoReturn, TypeVar

SHARE = 100  # items that are worth a process
MOST = 8  # processes
# At most. Each process takes the next one when it has time, so that a busy processor does not delay the others.
CHUNKS = 200

Item = TypeVar("Item")
Done = TypeVar("Done")


def fork_map(work: Callable[[Item], Done], items: Sequence[Item]) -> list[Done]:
    """Return ``work(item)`` for each of the items, in order. ``work`` only reads; its results are plain values."""
    count = max(1, min(_processors(), MOST, len(items) // SHARE)) if _safe() else 1
    first = [work(item) for item in items[:1]]  # here: it imports and caches what every fork needs
    size = -(-len(items) // CHUNKS) if count > 1 else len(items)
    chunks = [items[at : at + size] for at in range(1, len(items), max(1, size))]
    left = _Left(len(chunks))
    forks: list[_Fork[Item, Done]] = []
    try:
        forks += [_Fork(work, chunks, left) for _ in range(count - 1)]
        done = {index: [work(item) for item in chunks[index]] for index in left}
        for fork in forks:
            done |= fork.done()
    finally:
        left.close()
        for fork in forks:
            fork.end()
    # What a fork did not answer is done here, so that an error is raised in this process.
    return first + [it for at, chunk in enumerate(chunks) for it in (done[at] if at in done else map(work, chunk))]


def _safe() -> bool:
    return sys.platform == "linux" and threading.active_count() == 1


def _processors() -> int:
    return len(os.sched_getaffinity(0))


class _Left:
    """The indices of the chunks that no process has begun: bytes in a pipe, each read by one process."""

    def __init__(self, count: int) -> None:
        self.reading, writing = os.pipe()
        os.write(writing, bytes(range(count)))
        os.close(writing)

    def __iter__(self) -> Iterator[int]:
        while index := os.read(self.reading, 1):
            yield index[0]

    def close(self) -> None:
        """Close the pipe, and leave nothing to the others: that matters after an error."""
        os.read(self.reading, CHUNKS)
        os.close(self.reading)


class _Fork(Generic[Item, Done]):
    """Another process that takes chunks, too."""

    def __init__(self, work: Callable[[Item], Done], chunks: Sequence[Sequence[Item]], left: _Left) -> None:
        self.work: Callable[[], dict[int, list[Done]]] = lambda: {
            index: [work(item) for item in chunks[index]] for index in left
        }
        self.reading, writing = os.pipe()
        try:
            self.pid = os.fork() or self._run(writing)
        except OSError:  # no more processes
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

    def done(self) -> dict[int, list[Done]]:
        """Return the results by the index of the chunk; none if the child failed."""
        with os.fdopen(self.reading, "rb", closefd=False) as answer, suppress(EOFError, ValueError, TypeError):
            results: dict[int, list[Done]] = marshal.loads(answer.read())  # load() reads value by value
            return results
        return {}

    def end(self) -> None:
        """Close the pipe and wait for the child, also after an interruption."""
        os.close(self.reading)  # ends a child that is still writing
        if self.pid:
            os.waitpid(self.pid, 0)
