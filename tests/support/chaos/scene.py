"""Where a point is struck: a checkout with the project's Makefile, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.root import ROOT
from tests.support.workshop import Workshop, alive, below

FAMILIES = ("base", "child", "alone")
BAKE_SECONDS = 1.5
TEST_SECONDS = 1.0
PACKER = "packer-stand-in"  # what the fake oven runs; its child stands for QEMU
END_SECONDS = 600.0  # of a command; with its disk full, the engine tries for minutes to save its state


class Missed(Exception):
    """The struck process was not alive in the phase, so the point does not count."""


def prepare(workshop: Workshop) -> None:
    """Make a checkout whose ``make up`` bakes a parent, its child and another image."""
    workshop.recipe("base")
    workshop.recipe("child", parent="base")
    workshop.recipe("alone")
    (workshop.folder / "Makefile").symlink_to(ROOT / "Makefile")
    for name, text in (("setup.sh", "#!/bin/bash\n"), ("env.sh", "")):
        workshop.write(f"tools/{name}", text)
    workshop.write(PACKER, f"#!/bin/bash\nsleep {BAKE_SECONDS} &\nwait $!\n")
    (workshop.folder / "tmp").mkdir()
    workshop.fake = {"command": [f"./{PACKER}"], "tests": {"*": {"seconds": TEST_SECONDS}}}
    workshop.configure()


def prepare_made(workshop: Workshop) -> None:
    """Make the same after its first ``make up``."""
    prepare(workshop)
    Scene(workshop).must("up")


@dataclass
class Scene:
    """A checkout. ``seen`` are breaches of the promise about families that were noticed while something ran."""

    shop: Workshop
    preload: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)

    @property
    def state(self) -> Path:
        return self.shop.folder / ".bakery"

    @property
    def backend(self) -> Path:
        return self.shop.folder / "backend" / ".pulumi"

    @property
    def database(self) -> Path:
        return self.state / "library" / "library.sqlite"

    # -- commands

    def begin(self, target: str) -> subprocess.Popen[bytes]:
        """Start ``make``; its output goes to a file, since nobody reads a pipe while it runs."""
        env = {name: value for name, value in self.shop.env.items() if not name.startswith(("MAKE", "MFLAGS"))}
        with (self.shop.folder / "output").open("wb") as output:
            return subprocess.Popen(
                ["make", target],
                cwd=self.shop.folder,
                env={**env, "TMPDIR": str(self.shop.folder / "tmp"), **self.preload},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def make(self, target: str) -> tuple[int, str]:
        """Run ``make`` to its end and watch the families meanwhile; return its exit code and its output."""
        running = self.begin(target)
        self.wait(lambda: running.poll() is not None, END_SECONDS)
        return running.wait(), self.output()

    def must(self, target: str) -> str:
        code, text = self.make(target)
        assert code == 0, text
        return text

    def output(self) -> str:
        return (self.shop.folder / "output").read_text(encoding="utf-8", errors="replace")

    def wait(self, true: Callable[[], bool], seconds: float, pause: float = 0.02) -> None:
        """Wait until something is so; note every family that points at an image without proof meanwhile."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                left = [command_line(pid) for pid in self.processes()]
                raise AssertionError(f"did not happen in {seconds:.0f} s; running: {left}\n{self.output()}")
            self.seen.update(self.unproven())
            time.sleep(pause)

    # -- what is there

    def processes(self) -> list[int]:
        """All processes that were started for this checkout."""
        mark = f"PULUMI_BACKEND_URL=file://{self.backend.parent}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0") and alive(int(entry.name)):
                    found.append(int(entry.name))
        return found

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Select from the library's database without changing it. Raises sqlite3.Error."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=0)) as connection:
            return connection.execute(query).fetchall()

    def unproven(self) -> list[str]:
        """Families that point at an image without a passed test; none while the database can't be read."""
        query = "SELECT family, image FROM families LEFT JOIN images ON image = name WHERE proof IS NOT 'passed'"
        with contextlib.suppress(sqlite3.Error):
            return [f"{family} points at {image}, which did not pass" for family, image in self.rows(query)]
        return []

    def proven(self) -> set[str]:
        with contextlib.suppress(sqlite3.Error):
            return {str(name) for (name,) in self.rows("SELECT name FROM images WHERE proof = 'passed'")}
        return set()

    def pointed(self) -> dict[str, str]:
        with contextlib.suppress(sqlite3.Error):
            return {str(family): str(image) for family, image in self.rows("SELECT family, image FROM families")}
        return {}

    def runs(self) -> list[str]:
        """The image of every stored run."""
        with contextlib.suppress(sqlite3.Error):
            return [str(image) for (image,) in self.rows("SELECT image FROM runs")]
        return []

    def work(self, pattern: str) -> list[Path]:
        return list((self.state / "work").glob(pattern))

    def baked(self) -> dict[str, int]:
        """Images whose bake has finished, published or not, to when their log was begun or last written."""
        names = {file.stem for file in (self.state / "library" / "images").glob("*.json")}
        names |= {file.parent.name[len("bake-") : -len("-12345678")] for file in self.work("bake-*/flat.qcow2")}
        logs = {name: self.state / "logs" / f"{name}.log" for name in names}
        return {name: log.stat().st_mtime_ns for name, log in logs.items() if log.exists()}

    def checkpoint(self) -> dict[str, Any]:
        """The stored state of the stack."""
        file = self.backend / "stacks" / "image-bakery" / "dev.json"
        found: dict[str, Any] = json.loads(file.read_bytes())["checkpoint"]["latest"] or {}
        return found

    def saved(self) -> tuple[tuple[str, int], ...]:
        """What changes whenever the engine saves the state."""
        found = []
        with contextlib.suppress(OSError), os.scandir(self.backend / "stacks" / "image-bakery") as files:
            for file in files:
                found.append((file.name, file.stat().st_mtime_ns))
        return tuple(sorted(found))

    def images(self) -> list[dict[str, Any]]:
        """The images of ``bakery plan``, with what would be done with each."""
        command = ["bakery", "plan", "--json"]
        done = subprocess.run(
            command, cwd=self.shop.folder, env=self.shop.env, capture_output=True, text=True, check=True
        )
        found: list[dict[str, Any]] = json.loads(done.stdout)["images"]
        return found


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return ""


WORDS: dict[str, Callable[[str], bool]] = {
    "guard": lambda line: "guard.py --foreground" in line,
    "engine": lambda line: line.startswith(("pulumi up", "pulumi destroy")),
    "plugin": lambda line: "pulumi.dynamic" in line,
    "language host": lambda line: "pulumi-language-python " in line,
    "program": lambda line: "pulumi-language-python-exec" in line,
    "guard of packer": lambda line: "guard.py" in line and line.endswith(PACKER),
    "packer": lambda line: line.endswith(PACKER) and "guard.py" not in line,
}


def named(make: int, name: str) -> list[int]:
    """The living processes of that name below ``make``; "make" is itself, "all" are it and all below it."""
    if name == "make":
        return [make] if alive(make) else []
    if name == "all":
        return [pid for pid in (make, *below(make)) if alive(pid)]
    return [pid for pid in below(make) if WORDS[name](command_line(pid)) and alive(pid)]


@contextlib.contextmanager
def own_disk(folder: Path) -> Iterator[bool]:
    """Give a folder with its content a small disk of its own; yield whether this user may mount one."""
    aside = folder.with_name(f"{folder.name}-aside")
    folder.mkdir(exist_ok=True)
    folder.rename(aside)
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    shutil.copytree(aside, folder, symlinks=True, dirs_exist_ok=True)
    shutil.rmtree(aside)
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
