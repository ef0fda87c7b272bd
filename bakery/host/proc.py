"""What ``/proc`` says about the processes of this machine, see proc(5)."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bakery.host import guard

COMM_LENGTH = 15  # bytes of a program's name that the kernel keeps


@dataclass(frozen=True)
class Stat:
    """Fields of ``/proc/PID/stat``: the program's name, the letter of its state, and the id of its parent.

    ``started`` is in clock ticks since the machine booted.
    """

    program: str
    state: str
    parent: int
    started: int

    @property
    def ended(self) -> bool:
        """Whether the process has ended, and only its parent has not read its exit code yet."""
        return self.state in ("Z", "X")


def read_stat(process: Path) -> Stat:
    """Return the state of the process with this folder in ``/proc``. Raises OSError."""
    program, _, rest = (process / "stat").read_bytes().partition(b"(")[2].rpartition(b") ")
    fields = rest.split()
    return Stat(program.decode("utf-8", "replace"), fields[0].decode(), int(fields[1]), int(fields[19]))


def stat(pid: int) -> Stat | None:
    """Return the state of a process; None if there is no such process or it has ended."""
    try:
        state = read_stat(Path(f"/proc/{pid}"))
    except OSError:
        return None
    return None if state.ended else state


def descendants(pid: int) -> Iterator[int]:
    """Yield the ids of all processes below ``pid`` that can be read."""
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, thread.read_text(encoding="ascii").split()):
                yield child
                yield from descendants(child)


def runs_below(pid: int, program: str) -> bool:
    """Return whether a program of that name runs below the process ``pid``."""
    states = (stat(child) for child in descendants(pid))
    return any(state is not None and state.program == program[:COMM_LENGTH] for state in states)


def orphans() -> Iterator[int]:
    """Yield the ids of this user's processes whose guard was killed, so that nothing has ended them.

    Processes of another PID namespace are left out: the ids in their marks mean nothing here.
    """
    mark = f"{guard.MARK}=".encode()
    here = guard.identity().split()[0].encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            marks = [word for word in (entry / "environ").read_bytes().split(b"\0") if word.startswith(mark)]
            namespace, pid, started = marks[0].removeprefix(mark).split() if marks else (b"", b"0", b"0")
            state = stat(int(pid))
            if namespace == here and (state is None or state.started != int(started)):
                yield int(entry.name)


def boot_id() -> str:
    """Return the id of the current boot of this machine; facts about processes and devices hold for one boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
