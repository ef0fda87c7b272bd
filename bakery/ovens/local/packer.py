"""Runs Packer: its version, its qemu plugin, its output as progress, and what a failure means."""

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bakery import paths
from bakery.errors import DISK_FULL, MAKE_ROOM, BakeFailed, BakeryError, InfrastructureFailed, MissingTool, PortTaken
from bakery.host import distribution, process, space
from bakery.host.hardware import X86, Hardware
from bakery.host.machine import check_console, console_lines
from bakery.ovens import stops
from bakery.ovens.local import packer_plugin
from bakery.ovens.local.template import BORDER, MARK, Rendering
from bakery.progress.activity import Activity
from bakery.settings import Accelerator

NO_PLUGINS = (1, 10)  # from this version on, Packer ships without the builders
POLL_SECONDS = 0.2
BORDER_SECONDS = 0.05  # the same where provisioners wait
SIGNALLED = 128  # exit codes above it are those of commands that a signal ended
GONE_LOOKS = 10  # two seconds
DEBUG_LOG = "packer.debug"  # the only place where Packer reports the output of QEMU
QEMU_SAID = re.compile(r"Qemu stderr: (?:qemu-system-\w+: )?(.+)")
CONNECTED = re.compile(r"Connected to SSH!")
PORT_TAKEN = re.compile(r"Could not set up host forwarding|Address already in use")
QEMU_FAILED = re.compile(r"Error launching VM|Qemu failed to start|qemu-system-\w+: ")
# apt's messages when the archive can't be reached; not those for a missing package.
UNREACHABLE = re.compile(
    r"Temporary failure resolving|Could not resolve|Could not connect to|Connection timed out|Network is unreachable"
)

NOT_BEGUN = (  # Packer's output before the machine exists: the error, its message and its hint
    (
        re.compile(
            r"Failed to initialize build|Failed to parse template|error initializing |required variable not set"
        ),
        InfrastructureFailed,
        "Packer could not begin the build",
        "see Packer's output above; a builder or provisioner may need a plugin that is not installed",
    ),
    (PORT_TAKEN, PortTaken, "the port of the machine was taken meanwhile", "try again"),
    (QEMU_FAILED, InfrastructureFailed, "QEMU could not start the machine", "see: bakery doctor"),
)


STEP_FAILED = "Provisioning step had errors"  # reported before Packer ends the machine
EXIT_STATUS = "exited with non-zero exit status"
LEFT_UP = ": aborted: skipping cleanup of step "  # a line for each step of a failed bake whose machine is kept


@dataclass
class Progress:
    """The progress in Packer's output, reported to the activity as phases."""

    activity: Activity
    provisioners: Sequence[str]
    current: int = 0
    connected: bool = False
    unreachable: bool = False
    lines: list[str] = field(default_factory=list)
    alive: Callable[[], bool] = lambda: True
    died: bool = False  # the machine had ended when Packer reported a failure

    def line(self, line: str) -> None:
        """Process one line of output."""
        mark = re.search(rf"{MARK} (\d+)/(\d+)$", line)
        if mark and f"echo {MARK}" not in line:
            self.current = int(mark[1])
            self.activity.say(f"baking: provisioner {mark[1]} of {mark[2]}")
        elif CONNECTED.search(line):
            self.connected = True
        elif "shutdown command" in line or "Gracefully halting" in line:
            self.activity.say("cleaning up and shutting down")
        elif STEP_FAILED in line:
            self.died = not self.alive()
        self.unreachable = self.unreachable or UNREACHABLE.search(line) is not None
        if PORT_TAKEN.search(line) or QEMU_FAILED.search(line):
            self.lines.append(line)


def command(rendering: Rendering, work: Path, keep_failed: bool) -> list[str]:
    """Return the command that bakes, as a user can paste it."""
    return [
        *("packer", "build", "-color=false", "-timestamp-ui", f"-only={rendering.builder}"),
        *(["-on-error=abort"] if keep_failed else []),
        *([] if rendering.hcl2 else [f"-var-file={work / 'variables.json'}"]),
        rendering.argument if rendering.hcl2 else str(work / rendering.file),
    ]


def environment(work: Path, above: str = "..") -> dict[str, str]:
    """Return Packer's settings: no configuration of the user is read, and no server is asked for updates.

    ``above`` is the path of ``work`` where Packer runs.
    """
    return {
        "PACKER_CACHE_DIR": str(work / "packer_cache"),
        "PACKER_CONFIG": str(work / "packer.config"),
        "CHECKPOINT_DISABLE": "1",
        "PACKER_LOG": "1",
        "PACKER_LOG_PATH": str(work / DEBUG_LOG),
        # Relative to the folder it runs in: Packer creates sockets there, whose paths have at most 107 bytes.
        "TMPDIR": f"{above}/tmp",
    }


def version(text: str) -> tuple[int, int]:
    """Return the first two numbers in the output of ``packer version``. Raises MissingTool."""
    match = re.search(r"v(\d+)\.(\d+)", text)
    if not match:
        raise MissingTool("packer does not report its version", hint=distribution.install("packer"))
    return int(match[1]), int(match[2])


def lacks_builder() -> bool:
    """Return whether this Packer has no qemu builder, since newer ones come without plugins. Raises BakeryError."""
    if version(process.output(["packer", "version"])) < NO_PLUGINS:
        return False
    return "packer-plugin-qemu" not in process.output(["packer", "plugins", "installed"])


def prepare(mirror: str = "") -> None:
    """Raise MissingTool unless Packer and its qemu builder exist; install the plugin of newer versions.

    It comes from ``mirror``, if there is one.
    """
    process.find_tool("packer", distribution.install("packer"))
    if not lacks_builder():
        return
    log = paths.cache() / "packer-plugins.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        packer_plugin.install(mirror, log)
    except BakeryError as error:
        message = "this Packer has no qemu builder, and its plugin could not be installed"
        raise MissingTool(message, tail=error.tail, log=log, hint=packer_plugin.hint()) from error


@dataclass(frozen=True)
class PackerRun:
    """One run of Packer: its folder ``work``, the staged ``workspace``, its log, its limit in seconds.

    ``alive`` returns whether the container still runs that Packer logs in to; without it, Packer runs a machine.
    ``hardware`` is the machine's.
    ``border`` is called before each provisioner, which waits for it, with the number of those that are done.
    """

    rendering: Rendering
    work: Path
    workspace: Path
    log: Path
    timeout: int = 0
    keep_failed: bool = False
    accelerator: Accelerator = Accelerator.TCG
    hardware: Hardware = X86
    console: Path = Path(os.devnull)
    alive: Callable[[], bool] | None = None
    border: Callable[[int], None] | None = None

    @property
    def folder(self) -> Path:
        """Where Packer runs."""
        return self.workspace / self.rendering.folder

    def write(self) -> None:
        """Write the template and its variables to the files that the command names."""
        for folder in (self.work / "tmp", self.folder, (self.work / self.rendering.file).parent):
            folder.mkdir(parents=True, exist_ok=True)
        for passed in self.work.glob(f"{BORDER}*"):
            passed.unlink()
        (self.work / "packer.config").write_text("{}", encoding="utf-8")
        files = {self.rendering.file: self.rendering.template, "variables.json": dict(self.rendering.variables)}
        for name, content in files.items():
            (self.work / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def cross(self, number: int) -> None:
        """Let the provisioner of that number begin."""
        file = self.work / f"{BORDER}{number}"
        if self.border and number and not file.exists():
            self.border(number - 1)
            file.touch()


def build(call: PackerRun, activity: Activity) -> None:
    """Run ``packer build``, which leaves the baked disk in ``work/output``.

    Raises BakeFailed (a provisioner, the time limit), InfrastructureFailed (machine, disk, mirror), Interrupted.
    """
    call.write()
    progress = Progress(activity, call.rendering.provisioners)
    activity.say("booting")
    line = command(call.rendering, call.work, call.keep_failed)
    env = {**call.rendering.environment, **environment(call.work, os.path.relpath(call.work, call.folder))}
    running = process.Running(line, cwd=call.folder, env=env, log=call.log, on_line=progress.line)
    deadline = time.monotonic() + call.timeout if call.timeout else float("inf")
    progress.alive = call.alive or (lambda: running.runs(call.hardware.program))
    machine = _Machine(progress, running, call.console, call.accelerator)
    try:
        while (code := running.poll()) is None:
            activity.sleep(BORDER_SECONDS if call.border else POLL_SECONDS)
            call.cross(progress.current)
            if time.monotonic() > deadline:
                message = f"the bake took longer than {call.timeout} s"
                raise _failed(BakeFailed, message, running, "raise the timeout in cloudbuild.yaml")
            if lack := space.lack(call.work):
                raise _failed(InfrastructureFailed, lack, running, MAKE_ROOM)
            machine.check()
    finally:
        running.stop()
    if code < 0 or code > SIGNALLED:
        message = f"Packer was ended by signal {abs(code) % SIGNALLED}"
        raise _failed(InfrastructureFailed, message, running, "check the free memory of this computer; try again")
    if code != 0:
        raise failure(progress, running, qemu_words(call.work / DEBUG_LOG), call.console)


def qemu_words(debug: Path) -> str:
    """Return QEMU's error messages from Packer's debug log; empty if there are none."""
    try:
        said = QEMU_SAID.findall(debug.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return ""
    return "; ".join(dict.fromkeys(words.strip() for words in said if not words.startswith("warning: ")))


@dataclass
class _Machine:
    """Detects a machine that Packer will never log in to; Packer itself would wait until the time limit.

    That is one that has ended, or one that KVM does not run.
    """

    progress: Progress
    running: process.Running
    console: Path = Path(os.devnull)
    accelerator: Accelerator = Accelerator.TCG
    seen: float = 0.0  # when it ran for the first time
    missed: int = 0

    def check(self) -> None:
        """Raise InfrastructureFailed if it has not run for two seconds, in which Packer may report a better error."""
        if self.progress.connected:
            return
        running = self.progress.alive()
        self.missed = 0 if running or not self.seen else self.missed + 1
        self.seen = self.seen or (time.monotonic() if running else 0.0)
        if self.missed > GONE_LOOKS:
            message, hint = "the machine ended before it answered on ssh", "check the free memory of this computer"
            raise _failed(InfrastructureFailed, message, self.running, hint, self.console)
        if self.seen:
            check_console(self.console, self.accelerator, time.monotonic() - self.seen)


def failure(
    progress: Progress, running: process.Running, complaint: str = "", console: Path = Path(os.devnull)
) -> BakeryError:
    """Return the error for a failed build; ``complaint`` is that of QEMU."""
    said = "\n".join((*progress.lines, *running.lines, complaint))
    if stopped := stops.reached(said, progress.provisioners):
        return _failed(*stopped, running, "")
    if not progress.connected:
        for pattern, kind, message, hint in NOT_BEGUN:
            if pattern.search(said):
                return _failed(kind, f"{message}: {complaint}" if complaint else message, running, hint)
        if progress.current == 0:
            hint = "see the machine's console next to the log; check its base image and this computer's load"
            return _failed(InfrastructureFailed, "the machine never answered on ssh", running, hint, console)
    what = _what_failed(progress)
    if progress.died and EXIT_STATUS not in said:
        hint = "it was killed, perhaps for lack of memory (dmesg | grep -i oom); try again"
        return _failed(InfrastructureFailed, f"{what}: the machine ended", running, hint)
    if progress.unreachable:
        return _failed(InfrastructureFailed, f"{what}: a package archive can't be reached", running, "try again")
    full = (": the image's disk is full", "raise disk_size or local.diskGb") if DISK_FULL in said else ("", "")
    return _failed(BakeFailed, f"{what}{full[0]}", running, full[1])


def _what_failed(progress: Progress) -> str:
    total = len(progress.provisioners)
    if progress.current == 0:
        return "the machine's preparation failed, before the first provisioner"
    if progress.current > total:
        return "the clean-up failed"
    return f"provisioner {progress.current} of {total} failed ({progress.provisioners[progress.current - 1]})"


def _failed(
    kind: type[BakeryError], message: str, running: process.Running, hint: str, console: Path = Path(os.devnull)
) -> BakeryError:
    """Return an error with the last lines of the console, if it has any, else with Packer's."""
    # From a copy, since the output may still grow.
    tail = console_lines(console) or tuple(line for line in tuple(running.lines) if LEFT_UP not in line)
    return kind(message, tail=tail, log=running.log, replay=running.replay, hint=hint)
