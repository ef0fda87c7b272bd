"""Two stacks to compare, the bakery's with the fake oven and a trivial one, and what a command of the engine costs."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support import workshop as shop
from tests.support.root import ROOT
from tests.support.workshop import Workshop

PROCESSES = {"program": "pulumi-language-python-exec", "plugin": "pulumi.dynamic"}  # by their command lines
UP = ("up", "--yes", "--skip-preview")
# Resources whose "word" is that of the file of this name are replaced when it changes: as many as an image has.
WORD, CHANGED = "word", 3
# This SDK's serialization of a provider nests one call deeper each time, and ends after some 300: it is done once.
TRIVIAL = """import functools
from pathlib import Path

import pulumi
import pulumi.dynamic.dynamic
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider

pulumi.dynamic.dynamic.serialize_provider = functools.cache(pulumi.dynamic.dynamic.serialize_provider)


class Plain(ResourceProvider):
    def create(self, props):
        return CreateResult(props["name"], props)

    def diff(self, _id, olds, news):
        changes = olds["name"] != news["name"]
        return DiffResult(changes, ["name"] if changes else [])


class Made(Resource, module="plain", name="Plain"):
    pass


provider = Plain()
word = Path("word").read_text()
for number in range({count}):
    Made(provider, f"plain-{{number}}", {{"name": f"plain-{{number}}" + (word if number < {changed} else "")}})
"""


class Cost:
    """What a command took: wall and processor seconds of all its processes, and the most memory of two of them.

    ``peak`` is in MiB, resident, by the names of PROCESSES; it is looked at ten times a second.
    """

    def __init__(self) -> None:
        self.seconds, self.processor = 0.0, 0.0
        self.peak = dict.fromkeys(PROCESSES, 0.0)
        self._ended = threading.Event()

    def __enter__(self) -> Cost:
        self._began, self._before = time.perf_counter(), _processor()
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self.seconds, self.processor = time.perf_counter() - self._began, _processor() - self._before

    @property
    def memory(self) -> float:
        """The sum of the peaks, in MiB."""
        return sum(self.peak.values())

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            for pid in shop.below(os.getpid()):
                self._look(Path(f"/proc/{pid}"))

    def _look(self, process: Path) -> None:
        try:
            words = process.joinpath("cmdline").read_text(encoding="utf-8", errors="replace")
            high = [line for line in process.joinpath("status").read_text().splitlines() if line.startswith("VmHWM")]
        except OSError:
            return  # it ended
        for kind, mark in PROCESSES.items():
            if mark in words and high:
                self.peak[kind] = max(self.peak[kind], int(high[0].split()[1]) / 1024)


def _processor() -> float:
    """The processor seconds of the ended processes below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass(frozen=True)
class Stack:
    """A stack in a folder, and what its engine runs with."""

    folder: Path
    env: dict[str, str]
    name: str = "dev"

    def run(self, *arguments: str) -> Cost:
        """Run a command that has to end well. Raises SystemExit."""
        with Cost() as cost:
            done = subprocess.run(
                ["pulumi", *arguments, "--stack", self.name, "--non-interactive"],
                cwd=self.folder,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
        if done.returncode != 0:
            raise SystemExit(f"pulumi {' '.join(arguments[:4])} failed in {self.folder}:\n{done.stdout[-3000:]}")
        return cost

    def preview(self) -> Cost:
        """Run a preview that has to find nothing to do."""
        return self.run("preview", "--expect-no-changes")


def engine() -> str:
    """The folder of the program ``pulumi``."""
    return str(Path(shutil.which("pulumi") or "pulumi").parent)


def bakery(folder: Path, images: int) -> Workshop:
    """A new stack, empty, of so many small recipes; of the two of the stack dev if ``images`` is 0."""
    made = shop.make(folder, folder.parent / "home", engine())
    for number in range(images):
        made.recipe(f"image-{number:04d}")
    if not images:
        shutil.rmtree(folder / "common")
        (folder / "common").symlink_to(ROOT / "common")
        (folder / "packages").symlink_to(ROOT / "packages")
        made.extra["select"] = ["rcc-debian", "hpcc"]
    return shop.init(made)


def trivial(folder: Path, like: Workshop, count: int) -> Stack:
    """A new stack, empty, whose program has that many plain dynamic resources, in the environment of the other one."""
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text("name: trivial\nruntime: python\n", encoding="utf-8")
    (folder / "__main__.py").write_text(TRIVIAL.format(count=count, changed=CHANGED), encoding="utf-8")
    (folder / WORD).write_text("", encoding="utf-8")
    (folder / "backend").mkdir()
    made = Stack(folder, like.env | {"PULUMI_BACKEND_URL": f"file://{folder / 'backend'}"})
    made.run("stack", "init")
    return made
