"""This machine of the cluster: its daemons, and the files through which the machines exchange messages."""

from __future__ import annotations

import contextlib
import json
import pwd
import shlex
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from .mailbox import Reporter
from .memory import MemoryWatch
from .slurm_conf import SlurmFacts
from .system import RunError, write_atomic, write_file
from .wire import Json, RunSpec

SHARED = ".fluid-run"  # folder of the shared home that holds the messages
REPORT_SECONDS = 60.0  # that the controller gets to send its results after another machine failed


class Machine:
    """This machine and its daemons.

    The daemons are the image's own, started directly: their systemd units wait for a network that the image itself
    configures, and the cluster's network is another one.
    """

    def __init__(self, run_spec: RunSpec, name: str, reporter: Reporter, workspace: Path = Path("workspace")) -> None:
        self.run_spec = run_spec
        self.me: Mapping[str, Json] = next(machine for machine in run_spec["machines"] if machine["name"] == name)
        self.reporter = reporter
        self.user: str = run_spec["user"]["name"]
        self.home: Path = Path("/home") / self.user
        self.shared: Path = self.home / SHARED
        self.production: bool = run_spec.get("profile") == "production"
        # The texts of the site's files, by what they are for.
        self.site = {part: (workspace / path).read_text("utf-8") for part, path in run_spec.get("site", {}).items()}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.facts: SlurmFacts | None = None  # if they are known already, as the versions
        self.versions: dict[str, str] = {}
        self.memory = MemoryWatch(run_spec["user"]["uid"])

    def start(self, name: str, *words: str, user: str = "root") -> None:
        """Start a daemon in the foreground; its output goes into its own log file."""
        self.reporter.log(f"start {shlex.join(words)}")
        entry = pwd.getpwnam(user)
        with (self.reporter.logs / f"{name}.out.log").open("ab") as sink:
            self.daemons[name] = subprocess.Popen(
                words, stdout=sink, stderr=sink, stdin=subprocess.DEVNULL, user=entry.pw_uid, group=entry.pw_gid
            )

    def check_daemons(self) -> None:
        """Raise RunError if a daemon has ended."""
        for name, process in self.daemons.items():
            if process.poll() is not None:
                said = last_line(self.reporter.logs / f"{name}.out.log")
                raise RunError(f"{name} on {self.me['name']} ended with {process.returncode}{said}", blame="image")

    def check(self) -> None:
        """Raise RunError if a daemon of this machine has ended or another machine reported a failure."""
        self.check_daemons()
        for file in self.shared.glob("*.broken"):
            raise RunError(*json.loads(file.read_bytes()))

    def report_failure(self, error: RunError) -> None:
        """Report to the controller why this machine ends, and wait until the controller has sent its results."""
        with contextlib.suppress(OSError):
            write_atomic(self.shared / f"{self.me['name']}.broken", json.dumps([str(error), error.blame]).encode())
        deadline = time.monotonic() + REPORT_SECONDS
        while not self.run_ended and time.monotonic() < deadline:
            time.sleep(0.5)

    def report_ready(self) -> None:
        """Report to the controller that this machine has joined the cluster."""
        write_file(self.shared / f"ready-{self.me['name']}", "")

    def is_ready(self, name: str) -> bool:
        """Return whether a machine has reported that it has joined the cluster."""
        return (self.shared / f"ready-{name}").exists()

    def watch_memory(self) -> None:
        """Measure the jobs' memory on this machine once, and save the peaks if one of them grew."""
        if self.memory.look():
            self.memory.save(self.shared / f"memory-{self.me['name']}.json")

    def end_run(self) -> None:
        """Report to all machines that the controller has sent its results."""
        (self.shared / "ended").touch()

    @property
    def run_ended(self) -> bool:
        """Whether the controller has sent its results."""
        return (self.shared / "ended").exists()


def last_line(file: Path) -> str:
    """Return the last line of what a daemon printed, to be appended to a message; empty if it printed nothing."""
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n") if file.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return f": {said[-1][-300:]}" if said else ""
