"""The error tree of the bakery, and the problems that checks of input report together.

Libraries raise, they never print and never exit. Whoever shows an error uses :meth:`BakeryError.render`.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

MAKE_ROOM = "make room, for instance: bakery prune"  # the hint wherever a disk is full
DISK_FULL = "No space left on device"  # as every program says it
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")  # ECMA-48, select graphic rendition


def printable(text: str) -> str:
    """What came from elsewhere, fit for a line of a terminal: control characters and what is no UTF-8 are replaced."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _shown(line: str) -> str:
    return printable(_COLOUR.sub("", line.expandtabs()))


class Severity(StrEnum):
    """How bad a problem is: an ERROR stops the plan, a WARNING lets the bake go on."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in the input.

    ``file`` is shown as given (relative to where the user stands when it can be); ``line`` counts from 1 and is
    1 when the whole file is meant. Names and values out of files may hold anything: what would break the line or is
    no UTF-8 is replaced.
    """

    file: str
    line: int
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    def __post_init__(self) -> None:
        for name in ("file", "message", "hint"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    def __str__(self) -> str:
        what = f"{self.message}, {self.hint}" if self.hint else self.message
        return f"{self.file}:{self.line}: {self.severity}: {what}"


def errors_among(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems that are more than warnings, in their order."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


class BakeryError(Exception):
    """Base of all errors: one sentence, and what the user can do about it."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        tail: Sequence[str] = (),
        log: Path | str | None = None,
        replay: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.tail = tuple(tail)
        self.log = log
        self.replay = replay

    def __str__(self) -> str:
        return self.render()

    def render(self) -> str:
        """The message, the last log lines, where the log is and how to replay, one part a line."""
        lines = [self.message]
        if self.tail:
            lines += ["last log lines:", *(f"  | {_shown(line)}" for line in self.tail)]
        if self.log:
            lines.append(f"log: {self.log}")
        if self.replay:
            lines.append(f"replay: {self.replay}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class InputError(BakeryError):
    """What the user gave is wrong; carries every problem that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingTool(BakeryError):
    """A program that this machine needs is not there."""


class BakeFailed(BakeryError):
    """The image could not be made because of its recipe: the same bake would fail again."""


class ImageRejected(BakeryError):
    """The image was baked, and its Fluid-Run says that it is not good."""

    __test__ = False  # not a pytest class


class InfrastructureFailed(BakeryError):
    """Something around the image failed (machine, network, quota): worth trying again."""


def from_os_error(error: OSError) -> InfrastructureFailed:
    """What the operating system refused (a full disk, a folder that may not be written to), in the bakery's words."""
    what = f"{error.filename}: " if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = MAKE_ROOM if full else "check owner and permissions"
    return InfrastructureFailed(f"{what}{error.strerror or error}", hint=hint)


class Uncertain(InfrastructureFailed):
    """The answer is not known (403, 429, time-out): nothing may be concluded from it."""


class Interrupted(BakeryError):
    """The user stopped the work; nothing is half-published."""


class CommandFailed(BakeryError):
    """A command ended with an exit code other than 0; ``code`` is it."""

    def __init__(self, command: Sequence[str], code: int, tail: Sequence[str], log: Path | None, replay: str) -> None:
        hint = MAKE_ROOM if any(DISK_FULL in line for line in tail) else ""
        message = f"{Path(command[0]).name} ended with exit code {code}"
        super().__init__(message, tail=tail, log=log, replay=replay, hint=hint)
        self.code = code


class TimedOut(InfrastructureFailed):
    """A command was stopped as it took too long."""

    def __init__(self, command: Sequence[str], seconds: float, tail: Sequence[str], replay: str) -> None:
        message = f"{Path(command[0]).name} did not end within {seconds:.0f} s"
        super().__init__(message, tail=tail, replay=replay, hint="try again; is this machine very busy?")


class StateChanged(InfrastructureFailed):
    """What the bake counted on is gone, or somebody else has made the image: the next look says which."""


class NoCapacity(InfrastructureFailed):
    """The zone has no machine for the bake: the next zone may."""


class PortTaken(InfrastructureFailed):
    """Another process was faster with the port that Packer found free."""


class UnknownFamily(InputError):
    """The plan has no such image family."""


class ParentFailed(BakeryError):
    """The image was not begun, since the one that it is baked from is not there."""
