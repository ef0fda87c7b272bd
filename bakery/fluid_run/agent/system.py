"""The machine's operating system: commands, files, users, and the error that ends a run."""

from __future__ import annotations

import contextlib
import os
import pwd
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

STATE = Path("/var/lib/fluid-run")
LOGS = Path("/var/log/fluid-run")
PROGRAMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/slurm/sbin"


class RunError(Exception):
    """The run cannot continue. ``blame`` is "image" if every cluster from this image would fail in the same way."""

    def __init__(self, message: str, blame: str = "infrastructure") -> None:
        super().__init__(message)
        self.blame = blame


def command(*words: str, check: bool = True) -> str:
    """Run a command and return its output; with ``check`` raise RunError if it fails."""
    done = subprocess.run(words, capture_output=True, check=False, text=True, errors="replace")
    if check and done.returncode:
        raise RunError(f"{shlex.join(words)} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def find_program(name: str) -> str:
    """Return the path of a program that the image must have. Raises RunError."""
    path = shutil.which(name, path=PROGRAMS)
    if path is None:
        raise RunError(f"the image has no {name}; install it in the recipe", blame="image")
    return path


def wait_until(what: str, seconds: float, step: float = 0.3) -> Iterator[None]:
    """Yield every ``step`` seconds until the caller stops; raise RunError after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() > deadline:
            raise RunError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(step)


def wait_for_port(host: str, port: int, seconds: float, check: Callable[[], None] | None = None) -> None:
    """Wait until a TCP port accepts connections. Raises RunError, as ``check`` may meanwhile."""
    for _ in wait_until(f"an answer of {host}:{port}", seconds):
        if check:
            check()
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=5):
            return


def write_atomic(file: Path, content: bytes) -> None:
    """Replace a file with a rename, so that no reader sees a part of it; safe among threads and processes."""
    part = file.with_name(f".{os.urandom(8).hex()}.part")
    part.write_bytes(content)
    part.replace(file)


def write_file(path: Path, content: str | bytes, mode: int = 0o644, owner: str = "") -> None:
    """Write a file and make its folders; ``owner`` is a user and a group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    if owner:
        shutil.chown(path, owner, owner)


def make_folder(path: Path, owner: str, mode: int = 0o755) -> None:
    """Make a folder with an owner and a mode."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    shutil.chown(path, owner)


def user_exists(name: str) -> bool:
    """Return whether the image has a user of that name."""
    try:
        return bool(pwd.getpwnam(name))
    except KeyError:
        return False


def leave_unit(root: Path = Path("/sys/fs/cgroup")) -> None:
    """Move this process and those that it starts into a control group outside of its systemd unit.

    If a job runs out of memory, systemd stops the whole unit that contains it (OOMPolicy=, systemd.service(5)), which
    would be the agent and Slurm. With control groups of version 1 systemd does not do that, and the group cannot be
    made.
    """
    with contextlib.suppress(OSError):
        group = root / "fluid-run"
        group.mkdir(exist_ok=True)
        (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
