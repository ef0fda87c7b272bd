"""Slots limit the machines that run at the same time on this computer, over all checkouts and processes of a user.

A process that needs cores and memory draws a ticket, a file that it keeps locked, so that a dead process loses it. It
waits until all earlier tickets are inside and what it needs is free: first come, first served, without starvation.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bakery import paths
from bakery.host import locks
from bakery.progress.activity import Activity
from bakery.settings import LocalSettings

MEMORY_SHARE = 0.8  # the part of this computer's memory that machines may use


@dataclass(frozen=True)
class Capacity:
    """What all machines may use at the same time."""

    cores: int
    memory_mb: int


@dataclass(frozen=True)
class _Ticket:
    number: int
    cores: int
    memory_mb: int
    inside: bool = False


def capacity(settings: LocalSettings) -> Capacity:
    """Return the cores of this computer (or the setting ``slots``) and the greater part of its memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    return Capacity(settings.slots or len(os.sched_getaffinity(0)), int(memory * MEMORY_SHARE))


@contextmanager
def take(cores: int, memory_mb: int, activity: Activity, limit: Capacity, folder: Path | None = None) -> Iterator[None]:
    """Wait for that many cores and that much memory, and hold them.

    A request above the limit is lowered to it, so it runs alone. The phase is "waiting for a slot (2 ahead)" while it
    waits. Raises Interrupted.
    """
    place = folder or paths.cache() / "slots"
    want = _Ticket(0, min(cores, limit.cores), min(memory_mb, limit.memory_mb))
    with _drawn(place, want) as ticket:
        shown = -1
        while (ahead := _enter(place, ticket, limit)) is not None:
            if ahead != shown:
                activity.say(f"waiting for a slot ({ahead} ahead)")
                shown = ahead
            activity.sleep(locks.POLL_SECONDS)
        yield


@contextmanager
def _drawn(place: Path, want: _Ticket) -> Iterator[_Ticket]:
    """Draw a ticket with an unused number, and delete it at the end."""
    with locks.hold(place / "lock", "drawing a ticket"):
        ticket = replace(want, number=max((number for number, _ in _files(place)), default=0) + 1)
        file = place / f"{ticket.number}.ticket"
        handle = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            locks.try_lock(handle)
            _write(file, ticket)
        except BaseException:  # a full disk: a ticket without content would block all others
            file.unlink(missing_ok=True)
            os.close(handle)
            raise
    try:
        yield ticket
    finally:
        with suppress(OSError):
            file.unlink()
        os.close(handle)


def _enter(place: Path, ticket: _Ticket, limit: Capacity) -> int | None:
    """Let the ticket in and return None if it is its turn, else return how many are before it."""
    with locks.hold(place / "lock", "looking for a slot"):
        before = [other for other in _tickets(place) if other.number != ticket.number]
        inside = [other for other in before if other.inside]
        ahead = [other for other in before if not other.inside and other.number < ticket.number]
        cores = sum(other.cores for other in inside) + ticket.cores
        memory = sum(other.memory_mb for other in inside) + ticket.memory_mb
        if ahead or cores > limit.cores or memory > limit.memory_mb:
            return len(ahead) + len(inside)
        _write(place / f"{ticket.number}.ticket", replace(ticket, inside=True))
        return None


def _tickets(place: Path) -> list[_Ticket]:
    """Return the tickets of running processes, and delete the others."""
    tickets = []
    for _number, file in _files(place):
        try:
            handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            if locks.try_lock(handle):
                file.unlink(missing_ok=True)
            else:
                tickets.append(_Ticket(**json.loads(os.pread(handle, 4096, 0))))
        finally:
            os.close(handle)
    return tickets


def _files(place: Path) -> list[tuple[int, Path]]:
    return sorted((int(file.stem), file) for file in place.glob("*.ticket") if file.stem.isdigit())


def _write(file: Path, ticket: _Ticket) -> None:
    """Write in place, since the lock is on this file; readers hold the lock of the folder."""
    with file.open("r+b") as sink:
        sink.write(json.dumps(asdict(ticket)).encode().ljust(200))
