"""Strikes: wait for the phase, see that the process lives, and strike."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.chaos.points import FAULTS, Point
from tests.support.chaos.scene import Missed, Scene, named
from tests.support.full_disk import fill

DAY = 86_400
SAVES = {"save": 10, "destroy": 5}  # after how many at most; the engine saves 18 times, some at once
PHASE_SECONDS = 300.0  # on a very busy machine


def strike(scene: Scene, point: Point, make: int) -> None:
    """Strike when it is time. Raises Missed if the process does not live in the phase, or the phase never comes."""
    released = reach(scene, point, make)
    try:
        targets = named(make, point.target if point.target not in FAULTS else "engine")
        if not targets or not going_on(scene, point, make):
            raise Missed(f"{point.target} in {point.phase}: {scene.output()}")
        if point.target in FAULTS:
            BLOWS[point.blow](scene, point)
        for pid in targets if point.target not in FAULTS else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, getattr(signal, point.blow))
    finally:
        if released is not None:
            released.close()


def reach(scene: Scene, point: Point, make: int) -> sqlite3.Connection | None:
    """Wait for the moment of the point; a connection that is returned keeps the library from being changed."""
    if point.phase == "plan":
        until(make, lambda: bool(named(make, "engine")))
        time.sleep(point.share * 1.5)
        until(make, lambda: bool(named(make, point.target)))
    elif point.phase == "promote":
        return about_to_promote(scene, point, make)
    elif point.phase in ("bake", "test"):
        until(make, lambda: going_on(scene, point, make))
        until(make, lambda: not point.target.endswith("packer") or bool(named(make, point.target)))
        time.sleep(point.share * 0.8)
    else:
        until(make, lambda: bool(named(make, "engine")))
        if point.phase == "destroy" and point.share < 0.3:
            time.sleep(point.share * 3)
        else:
            some_save(scene, make, 1 + int(point.share * SAVES[point.phase]))
    return None


def going_on(scene: Scene, point: Point, make: int) -> bool:
    """Whether the phase has begun and has not ended."""
    match point.phase:
        case "plan":
            return not scene.work("bake-*") and not scene.work("workspace-*")
        case "bake":
            return any(not (work / "flat.qcow2").exists() for work in scene.work("bake-*"))
        case "test":
            return bool(scene.work("workspace-*"))
        case _:
            return bool(named(make, "engine"))


def about_to_promote(scene: Scene, point: Point, make: int) -> sqlite3.Connection | None:
    """Stop the library when an image has passed and its family does not point at it yet.

    For early points the lock is held until after the strike, for others it is given up just before.
    """
    before = scene.pointed()
    passed: set[str] = set()

    def due() -> bool:
        passed.update(scene.proven() - set(before.values()))
        return bool(passed - set(scene.pointed().values()))

    until(make, due, 0.002)
    lock = sqlite3.connect(scene.database, timeout=10, isolation_level=None)
    try:
        lock.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        lock.close()
        raise Missed(f"the library is busy: {error}") from error
    if not passed - set(scene.pointed().values()):
        lock.close()
        raise Missed("the family was promoted meanwhile")
    time.sleep(0.1 + point.share * 0.4)
    if point.share < 0.5 and point.target not in FAULTS:
        return lock
    lock.close()
    time.sleep(0.02 * point.share)
    return None


def some_save(scene: Scene, make: int, count: int) -> None:
    """Wait until the engine has saved the state ``count`` times."""
    last = scene.saved()

    def saved() -> bool:
        nonlocal last, count
        if (now := scene.saved()) != last:
            last, count = now, count - 1
        return count <= 0

    until(make, saved, 0)


def until(make: int, true: Callable[[], bool], pause: float = 0.005) -> None:
    """Wait for something while ``make`` lives."""
    deadline = time.monotonic() + PHASE_SECONDS
    while not true():
        if time.monotonic() > deadline or not named(make, "make"):
            raise Missed("the phase did not come")
        time.sleep(pause)


# -- faults


def full(scene: Scene, point: Point) -> None:
    """Fill the disk, and in half of the cases make room while all goes on."""
    file = fill(scene.state if point.target == "disk of the library" else scene.backend.parent)
    if not point.slow:
        time.sleep(6 * point.share)
        file.unlink()


def locked(scene: Scene, point: Point) -> None:
    """Hold the write lock for seconds, as a long transaction of another process does."""
    with contextlib.closing(sqlite3.connect(scene.database, timeout=10, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(1 + 4 * point.share)


def torn(scene: Scene, point: Point) -> None:
    """Lose the second half of the database, or fill its first pages with noise."""
    size = scene.database.stat().st_size
    with scene.database.open("r+b") as file:
        if point.share < 0.5:
            file.truncate(size // 2)
        else:
            file.write(random.Random(point.number).randbytes(min(size, 8192)))


def lost(scene: Scene, _point: Point) -> None:
    for file in scene.database.parent.glob(f"{scene.database.name}*"):
        file.unlink(missing_ok=True)


def jump(scene: Scene, point: Point) -> None:
    days = 1 if point.blow == "a day on" else -1
    with Path(scene.preload["CLOCK_SHIFT"]).open("r+b") as file:
        file.write((days * DAY).to_bytes(8, "little", signed=True))


BLOWS = {"full": full, "locked": locked, "torn": torn, "lost": lost, "a day on": jump, "a day back": jump}

SHIFTED_CLOCK = """
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile long long *shift;
__attribute__((constructor)) static void begin(void) {
    char *name = getenv("CLOCK_SHIFT");
    int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    void *at = file < 0 ? MAP_FAILED : mmap(0, 8, PROT_READ, MAP_SHARED, file, 0);
    if (file >= 0) close(file);
    if (at != MAP_FAILED) shift = at;
}
int clock_gettime(clockid_t id, struct timespec *now) {
    int code = syscall(SYS_clock_gettime, id, now);
    if (!code && id == CLOCK_REALTIME && shift) now->tv_sec += *shift;
    return code;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec real;
    int code = clock_gettime(CLOCK_REALTIME, &real);
    now->tv_sec = real.tv_sec;
    now->tv_usec = real.tv_nsec / 1000;
    return code;
}
time_t time(time_t *to) {
    struct timespec real;
    clock_gettime(CLOCK_REALTIME, &real);
    if (to) *to = real.tv_sec;
    return real.tv_sec;
}
"""


def shifted_clock(folder: Path) -> dict[str, str]:
    """Build a library that moves the clock of whatever loads it; return the environment. Raises FileNotFoundError."""
    source, library, shift = folder / "clock.c", folder / "clock.so", folder / "clock.shift"
    source.write_text(SHIFTED_CLOCK, encoding="ascii")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source)], check=True)
    shift.write_bytes(bytes(8))
    return {"LD_PRELOAD": str(library), "CLOCK_SHIFT": str(shift)}
