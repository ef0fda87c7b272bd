"""The only place where the bakery starts a subprocess.

Every command runs below the guard (:mod:`bakery.host.guard`), so that nothing keeps running after a killed caller, not
even a daemon that left its parent; except a shell in the user's terminal, which ends with that. The output of a command
is written to its log file immediately, without a buffer.
"""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from io import FileIO
from pathlib import Path
from shutil import which

from bakery.errors import CommandFailed, Interrupted, MissingTool, TimedOut
from bakery.host import proc
from bakery.progress.activity import Activity
from bakery.progress.deadline import why_stopped
from bakery.redaction import redacted

GUARD = Path(__file__).with_name("guard.py")
TAIL_LINES = 40
POLL_SECONDS = 0.5
PUMP_SECONDS = 10.0  # to read the rest of the pipe, which a daemon may hold open after its guard was killed


def find_tool(name: str, hint: str = "") -> Path:
    """Return the program on PATH. Raises MissingTool with the command that installs it."""
    if path := which(name):
        return Path(path)
    raise MissingTool(f"{name} is not installed", hint=hint or "run: bakery doctor")


class Running:
    """A command that was started below its guard; ``env`` is added to the environment of this process.

    ``on_line`` is called with each line of its output, and ``lines`` has the last ones.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        log: Path | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> None:
        self.command = tuple(command)
        self.cwd = cwd
        self.extra_env = dict(env or {})
        self.log = log
        self.lines: deque[str] = deque(maxlen=TAIL_LINES)
        self._on_line = on_line
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(GUARD), *self.command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **self.extra_env},
            start_new_session=True,  # a Ctrl-C at the terminal is the caller's to handle
        )
        self.pid = self._process.pid
        self._pump = threading.Thread(target=self._copy, name=f"log of {self.command[0]}", daemon=True)
        self._pump.start()

    def _copy(self) -> None:
        assert self._process.stdout is not None
        with contextlib.ExitStack() as opened:
            source = opened.enter_context(self._process.stdout)
            sink = opened.enter_context(self.log.open("ab", buffering=0)) if self.log else None
            for foreign in source:
                raw = redacted(foreign.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
                if sink:
                    sink = self._kept(sink, raw)
                line = raw.decode("utf-8", "replace").rstrip()
                self.lines.append(line)
                if self._on_line:
                    self._on_line(line)

    def _kept(self, sink: FileIO, raw: bytes) -> FileIO | None:
        """Write ``raw`` to the log; return the log, or None (and add a line with the reason) if it can't be written."""
        try:
            sink.write(raw)
        except OSError as error:
            self.lines.append(f"{self.log}: {error.strerror}")
            return None
        return sink

    def _close(self) -> None:
        if self._process.returncode < 0:  # the guard itself was killed, which led a process group
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._pump.join(PUMP_SECONDS)
        if self._process.stdin is not None:
            self._process.stdin.close()

    @property
    def replay(self) -> str:
        """The command as a user would type it."""
        where = f"cd {shlex.quote(str(self.cwd))} && " if self.cwd else ""
        setting = "".join(f"{key}={shlex.quote(value)} " for key, value in sorted(self.extra_env.items()))
        return f"{where}{setting}{shlex.join(self.command)}"

    def poll(self) -> int | None:
        """Return the exit code, or None while the command runs."""
        return self._process.poll()

    def runs(self, program: str) -> bool:
        """Return whether a program of that name runs below the command."""
        return proc.runs_below(self.pid, program)

    def wait(self, activity: Activity | None = None, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code; a cancelled activity or the timeout (seconds) stops the command.

        Raises Interrupted or TimedOut after it has stopped the command.
        """
        waited = 0.0
        step = 0.1
        while True:
            try:
                code = self._process.wait(step)
                self._close()
                return code
            except subprocess.TimeoutExpired:
                waited += step
            if activity is not None and activity.cancelled.is_set():
                self.stop()
                raise Interrupted(f"{Path(self.command[0]).name} was stopped {why_stopped()}")
            if timeout is not None and waited >= timeout:
                self.stop()
                raise TimedOut(self.command, timeout, tuple(self.lines), self.replay)

    def stop(self) -> None:
        """End the command and its descendants: SIGTERM, and after 5 s SIGKILL. Idempotent."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
        self._close()

    def failure(self, code: int) -> CommandFailed:
        """Return the error for an exit code, with the last lines, the log and the command to replay."""
        return CommandFailed(self.command, code, tuple(self.lines), self.log, self.replay)


def run(
    command: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    on_line: Callable[[str], None] | None = None,
    activity: Activity | None = None,
    timeout: float | None = None,
) -> tuple[str, ...]:
    """Run a command to its end, and return its last 40 lines. Raises CommandFailed, Interrupted or TimedOut."""
    running = Running(command, cwd=cwd, env=env, log=log, on_line=on_line)
    code = running.wait(activity, timeout)
    if code != 0:
        raise running.failure(code)
    return tuple(running.lines)


def in_terminal(line: str, cancelled: threading.Event, seconds: float) -> None:
    """Run a shell line in the user's terminal; end it when it is cancelled or its time is over."""
    ends = time.monotonic() + seconds
    with subprocess.Popen(["sh", "-c", f"exec {line}"]) as running:
        while running.poll() is None:
            if cancelled.wait(POLL_SECONDS) or time.monotonic() > ends:
                running.terminate()
                break


def end_orphans(*, dry_run: bool = False) -> list[str]:
    """End what commands of killed guards left running, and return a line for each process. Nothing can save them.

    With ``dry_run``, only return the lines.
    """
    ended = []
    for pid in proc.orphans():
        if state := proc.stat(pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, 0 if dry_run else signal.SIGKILL)
                ended.append(f"ended {state.program} (process {pid}), which a killed process had left running")
    return ended


def output(command: Sequence[str], *, cwd: Path | None = None, timeout: float = 60) -> str:
    """Return the standard output of a short command that starts no daemons; it runs without a guard.

    Raises CommandFailed, or TimedOut after ``timeout`` seconds. Invalid UTF-8 is replaced.
    """
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise TimedOut(command, timeout, (), shlex.join(command)) from error
    if done.returncode != 0:
        raise CommandFailed(command, done.returncode, done.stderr.splitlines()[-TAIL_LINES:], None, shlex.join(command))
    return done.stdout
