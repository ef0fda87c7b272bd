"""Runs one command and ends all its descendants when it ends, or when whoever started the guard is gone.

A file of its own that only needs the standard library: ``python -I -S guard.py COMMAND...``. Standard input is a pipe
whose other end the caller holds: end of file means that the caller is gone, even when it was killed with SIGKILL. As a
child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER) the guard inherits daemons that left their parent, so nothing gets
away. Exit code: the command's own, 128 + signal number when a signal ended it, 143 when the guard ended it, and 127
when it could not be started.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
GRACE_SECONDS = 5.0
STOPPED = 143


def descendants(root: int) -> list[int]:
    """The process ids below ``root``, from /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    parent = int(stat.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry))
    found: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def reap() -> None:
    """Collect every child that has ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def end(signum: int) -> bool:
    """Send a signal to all descendants; says whether any got it: those of another user (sudo) can't be ended."""
    told = False
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)
            told = True
    return told


def end_all(grace: float) -> None:
    """End all descendants: politely first (SIGTERM), then with SIGKILL."""
    deadline = time.monotonic() + grace
    end(signal.SIGTERM)
    while time.monotonic() < deadline:
        reap()
        if not descendants(os.getpid()):
            return
        time.sleep(0.05)
    while end(signal.SIGKILL):
        reap()
        time.sleep(0.02)


def main(command: list[str]) -> int:
    """Run the command; returns the exit code to end with."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    stopped: list[int] = []
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, lambda number, _frame: stopped.append(number))
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    try:
        # If even the guard is killed, the direct child goes with it.
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0),  # noqa: PLW1509  one thread only
        )
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    code: int | None = None
    while code is None and not stopped:
        ready, _, _ = select.select([sys.stdin.fileno(), wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            code = child.poll()
        if sys.stdin.fileno() in ready and not os.read(sys.stdin.fileno(), 1):
            stopped.append(signal.SIGHUP)
    end_all(GRACE_SECONDS if code is None else 0.5)
    if code is None:
        return STOPPED
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
