"""A copy of this checkout as a user has it after a download: no environment, no engine, no stack."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import source_tree

TIMEOUT = 2400
HCL2 = Path(__file__).with_name("hcl2")


@dataclass(frozen=True)
class Done:
    """A command that ended: exit code, both its outputs, wall seconds."""

    code: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Checkout:
    """The copy in ``folder``."""

    folder: Path

    def make(self, *arguments: str) -> Done:
        """Run ``make`` as a user does, to its end."""
        began = time.monotonic()
        with self.start(*arguments) as running:
            text = running.communicate(timeout=TIMEOUT)[0]
        return Done(running.returncode, text, time.monotonic() - began)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start ``make`` in a process group of its own, as a terminal does."""
        return subprocess.Popen(
            ["make", *arguments],
            cwd=self.folder,
            env=plain(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def shell(self, command: str) -> Done:
        """Run one line with the stack's environment sourced."""
        began = time.monotonic()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f". tools/env.sh\n{command}"],
            cwd=self.folder,
            env=plain(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=TIMEOUT,
        )
        return Done(done.returncode, done.stdout, time.monotonic() - began)

    def json(self, command: str) -> Any:
        """What a command with ``--json`` prints."""
        done = self.shell(command)
        assert done.code == 0, done.text
        return json.loads(done.text)

    def families(self) -> dict[str, str]:
        """Family to the name of the image that it points at."""
        found: dict[str, str] = self.json("bakery library --json")["families"]
        return found

    def steps(self) -> dict[str, str]:
        """What an ``up`` would do: "BakedImage hpcc" to its operation, unchanged ones left out."""
        found = {}
        for step in self.json("pulumi preview --stack dev --json 2>/dev/null")["steps"]:
            kind, _, name = step["urn"].rpartition("::")
            if step["op"] in ("create", "update", "replace", "delete") and "dynamic/" in kind:
                found[f"{kind.rpartition(':')[2]} {name}"] = step["op"]
        return found

    def edit(self, path: str, line: str) -> None:
        """Add a line to a file."""
        with (self.folder / path).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    def processes(self) -> list[str]:
        """Command lines of the processes that work below this folder."""
        listed = subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if str(self.folder / ".bakery") in line]


def plain() -> dict[str, str]:
    """An environment that knows nothing of the checkout that runs the tests."""
    own = str(source_tree.ROOT)
    path = os.pathsep.join(entry for entry in os.environ["PATH"].split(os.pathsep) if not entry.startswith(own))
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PULUMI_", "VIRTUAL_ENV", "MAKE"))
    }
    return {**kept, "PATH": path}


def use_hcl2(package: Path) -> None:
    """Give the package ``hpcc`` its template in HCL2, which says the same as its ``packer.json``."""
    (package / "packer.json").unlink()
    for file in HCL2.iterdir():
        shutil.copy(file, package)
    build = package / "cloudbuild.yaml"
    build.write_text(build.read_text(encoding="utf-8").replace("/packer.json", ""), encoding="utf-8")


def copy(folder: Path) -> Checkout:
    """Copy all tracked files, as they are now; one of the two packages that are baked has an HCL2 template."""
    for path in source_tree.tracked():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source_tree.ROOT / path, target, follow_symlinks=False)
    use_hcl2(folder / "packages/hpcc")
    stack = folder / "Pulumi.dev.yaml"
    lines = stack.read_text(encoding="utf-8").splitlines(keepends=True)
    stack.write_text("".join(line for line in lines if not line.startswith("encryptionsalt:")), encoding="utf-8")
    return Checkout(folder)


@contextmanager
def ended(running: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """See to it that a command has ended, also when the test fails meanwhile."""
    try:
        yield running
    finally:
        if running.poll() is None:
            interrupt(running)


def interrupt(running: subprocess.Popen[str]) -> str:
    """What Ctrl-C in a terminal does: the whole process group gets the signal. Returns all that was printed."""
    os.killpg(running.pid, signal.SIGINT)
    return running.communicate(timeout=60)[0]


def wait_for(true: Callable[[], object], seconds: float) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
