"""Runs one command and ends all its descendants when the command ends, or when the caller ends.

A program that needs only the standard library: ``python -I -S guard.py COMMAND...``; with ``--foreground`` see
:func:`foreground`. The caller holds the other end of
the pipe that is standard input: end of file means that the caller has ended, even by SIGKILL. As a child subreaper
(prctl(2), PR_SET_CHILD_SUBREAPER) the guard inherits daemons that left their parent, so it can end them as well. Exit
code: that of the command; 128 + signal number if a signal ended it; 143 if the guard ended it; 127 if it could not be
started.

A guard that is killed itself can end nothing. All that it started has its mark in the environment, by which
:func:`bakery.host.proc.orphans` finds it.
"""

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
MARK = "BAKERY_GUARD"
GRACE_SECONDS = 5.0
STOPPED = 143


def descendants(root: int) -> list[int]:
    """Return the ids of all processes below ``root``."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as stat:
                    parent = int(stat.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(entry))
    everything: list[int] = []
    queue = [root]
    while queue:
        below = children.get(queue.pop(), [])
        everything += below
        queue += below
    return everything


def identity() -> str:
    """Return what identifies this process during a boot: PID namespace, process id, and start in clock ticks."""
    with open("/proc/self/stat", "rb") as stat:
        started = stat.read().rpartition(b")")[2].split()[19].decode()
    return f"{os.readlink('/proc/self/ns/pid')} {os.getpid()} {started}"


def reap() -> None:
    """Collect every child that has ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def end(signum: int) -> bool:
    """Send a signal to all descendants; return whether any received it (those of another user, as by sudo, can't)."""
    received = False
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signum)
            received = True
    return received


def end_all(grace: float) -> None:
    """End all descendants: with SIGTERM, and after ``grace`` seconds with SIGKILL."""
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
    """Run the command and return the exit code of the guard."""
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
        # If the guard itself is killed, the kernel kills its direct child.
        child = subprocess.Popen(
            command,
            env={**os.environ, MARK: identity()},
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


def foreground(command: list[str]) -> int:
    """Run a command that stops its work on SIGINT, and give up at a second one; return its exit code.

    However many signals the guard receives (from timeout(1) or a CI job that is cancelled, and then from make), the
    command gets one SIGINT. At a terminal it is in the foreground, where Ctrl-C reaches it directly. If the command is
    killed, what it leaves running is ended.
    """
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    terminal = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else tcsetpgrp(3) stops a group in the background

    def lead() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if terminal:
            os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)

    child = subprocess.Popen(command, process_group=0, preexec_fn=lead)  # noqa: PLW1509  one thread only
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if not stopped:
            child.send_signal(signal.SIGINT)
        stopped.append(number)

    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, stop)
    code = child.wait()
    if terminal:
        os.tcsetpgrp(0, os.getpgrp())
    if code < 0:
        end_all(GRACE_SECONDS)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(foreground(sys.argv[2:]) if sys.argv[1] == "--foreground" else main(sys.argv[1:]))
