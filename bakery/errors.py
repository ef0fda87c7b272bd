"""All errors of the bakery, and the problems that checks of input report together.

* BakeryError                 one sentence, and what the user can do about it
  * InputError                the input is wrong; carries every problem
    * UnknownFamily           the plan has no such image family
  * MissingTool               a program that this machine needs is missing
  * CommandFailed             a command ended with an exit code other than 0
  * BakeFailed                the recipe can't be baked: the same bake would fail again
    * BakeStopped             the bake ended before the provisioner that it was asked to stop at
  * ParentFailed              the bake did not start, because its parent image does not exist
  * ImageRejected             the image was baked and its Fluid-Run failed
  * UnprovenImage             the promotion needs an image or a passed test that the library does not have
  * UnfitImage                the image does not fit the cluster that runs
  * RevokedImage              the image must not be used any more, nor baked again as it was
  * LimitReached              the settings let no further bake or test begin in this run
  * InfrastructureFailed      the machine, network or quota failed: worth another try
    * TimedOut                a command was stopped because it took too long
    * Uncertain               the answer is not known (403, 429, time-out)
      * AccessRefused         a role is missing, or it was granted moments ago
    * NoCapacity              the zone has no machine; the next zone may have one
    * Preempted               Compute Engine took a spot machine back
    * NoKernel                an image has no kernel that is found without booting it
    * ContainerFailed         this computer can't run the container that bakes; a machine may do
    * PortTaken               another process took the port first
    * StateChanged            what the bake relied on has changed; look again
  * Interrupted               the user stopped the work

Library code raises these and never prints or exits. The command line shows an error with :meth:`BakeryError.render`.
"""

import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from bakery.redaction import redacted

MAKE_ROOM = "make room, for instance: bakery prune"  # the hint for every full disk
DISK_FULL = "No space left on device"  # strerror(ENOSPC), as programs print it
_COLOUR = r"\x1b\[[0-9;]*m"  # ECMA-48, select graphic rendition


def printable(text: str) -> str:
    """Return foreign text made safe for a line of a terminal: without secrets, control characters and invalid UTF-8."""
    text = redacted(text)
    return text if text.isprintable() else "".join(char if char.isprintable() else "\ufffd" for char in text)


def _shown(line: str) -> str:
    return printable(re.sub(_COLOUR, "", line.expandtabs()))


class Severity(StrEnum):
    """How bad a problem is: an ERROR stops the plan, a WARNING does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, order=True)
class Problem:
    """One fault in the input.

    ``file`` is shown as given, relative to the current folder where possible. ``line`` counts from 1; 1 also means the
    whole file. Names and values from files may contain anything, so characters that would break the line are replaced.
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
        what = f"{self.message}; {self.hint}" if self.hint else self.message
        return f"{self.file}:{self.line}: {self.severity}: {what}"


def errors_among(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems that are errors, in order."""
    return tuple(problem for problem in problems if problem.severity is Severity.ERROR)


class BakeryError(Exception):
    """Base of all errors: one sentence, and what the user can do about it.

    ``tail`` holds the last lines of a log, ``log`` its path or address, ``replay`` the command that repeats the work.
    """

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
        """Return the message, the last log lines, the log's location and the command to replay, one part a line."""
        lines = [self.message]
        if self.tail:
            lines += ["last log lines:", *(f"  | {_shown(line)}" for line in self.tail)]
        if self.log:
            lines.append(f"log: {self.log}")
        if self.replay:
            lines.append(f"replay: {self.replay}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return redacted("\n".join(lines))


class InputError(BakeryError):
    """The input is wrong; ``problems`` holds every fault that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class MissingTool(BakeryError):
    """A program that this machine needs is missing."""


class BakeFailed(BakeryError):
    """The recipe can't be baked: the same bake would fail again."""


class BakeStopped(BakeFailed):
    """The bake ended before the provisioner that it was asked to stop at: nothing is wrong with the recipe so far."""


class ImageRejected(BakeryError):
    """The image was baked and its Fluid-Run failed."""


class UnprovenImage(BakeryError):
    """The promotion needs an image or a passed test that the library does not have; the family stays as it is."""


class UnfitImage(BakeryError):
    """The image does not fit the cluster that runs."""


class RevokedImage(BakeryError):
    """The image is revoked: it is neither used nor baked again from the same inputs."""


class LimitReached(BakeryError):
    """The settings let no further bake or test begin in this run; the next one continues."""


class InfrastructureFailed(BakeryError):
    """The machine, network or quota failed, not the recipe: worth another try."""


def from_os_error(error: OSError) -> InfrastructureFailed:
    """Turn an OSError (disk full, permission denied) into an InfrastructureFailed with a hint."""
    what = f"{error.filename}: " if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = MAKE_ROOM if full else "check owner and permissions"
    return InfrastructureFailed(f"{what}{error.strerror or error}", hint=hint)


class Uncertain(InfrastructureFailed):
    """The answer is not known (403, 429, time-out): no conclusion may be drawn from it."""


class AccessRefused(Uncertain):
    """A role is missing or a service is off, or it was granted or enabled moments ago and does not work yet."""


class Interrupted(BakeryError):
    """The user stopped the work; nothing was published halfway."""


class CommandFailed(BakeryError):
    """A command ended with the exit code ``code``, which is not 0."""

    def __init__(self, command: Sequence[str], code: int, tail: Sequence[str], log: Path | None, replay: str) -> None:
        hint = MAKE_ROOM if any(DISK_FULL in line for line in tail) else ""
        message = f"{Path(command[0]).name} ended with exit code {code}"
        super().__init__(message, tail=tail, log=log, replay=replay, hint=hint)
        self.code = code

    def as_infrastructure(self, what: str, hint: str = "") -> InfrastructureFailed:
        """Return the error for work that no recipe can make fail; ``hint`` is shown if this error has none."""
        message = f"{what}: {self.message}"
        return InfrastructureFailed(message, tail=self.tail, log=self.log, replay=self.replay, hint=self.hint or hint)


class TimedOut(InfrastructureFailed):
    """A command was stopped because it took too long."""

    def __init__(self, command: Sequence[str], seconds: float, tail: Sequence[str], replay: str) -> None:
        message = f"{Path(command[0]).name} did not end within {seconds:.0f} s"
        super().__init__(message, tail=tail, replay=replay, hint="try again; is this machine very busy?")


class StateChanged(InfrastructureFailed):
    """What the bake relied on is gone, or another process made the image: look again to know which."""


class NoCapacity(InfrastructureFailed):
    """The zone has no machine; the next zone may have one."""


class Preempted(InfrastructureFailed):
    """Compute Engine took a spot machine back."""


class NoKernel(InfrastructureFailed):
    """An image has no kernel that is found without booting it."""


class ContainerFailed(InfrastructureFailed):
    """This computer can't run the container that bakes, or the recipe ended it; a machine may do."""


class PortTaken(InfrastructureFailed):
    """Another process took the port that Packer had found free."""


class UnknownFamily(InputError):
    """The plan has no such image family."""


class ParentFailed(BakeryError):
    """The bake did not start, because the image it is baked from does not exist."""
