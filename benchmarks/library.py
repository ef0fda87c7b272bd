"""10,000 images and 100,000 runs: each command that reads the whole library, as a process of its own.

Run: python benchmarks/library.py [--images N] [--runs N] [--before FOLDER] [--only KIND] [--json FILE]. ``local``:
list, plan, retention and drift in a library on this machine, page cache warm, and the same commands of the checkout
``--before``; at most 2 s and 200 MB each. ``google``: the same in the fake Google Cloud, where each call takes 20 ms
longer, without runs; at most 10 s and 1.2 times the list calls that 500 images a page need. Seconds are medians, memory
is the peak of the largest process.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # not this folder: its google.py would hide the package

FAMILIES = 100
PAGE = 500
DELAY_SECONDS = 0.02
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "list": ("library",),
    "plan": ("plan",),
    "retention": ("prune", "--dry-run"),
    "drift": ("drift",),
}
ENTRY = "import sys; {}; sys.argv[0] = 'bakery'; main()"
NOW, BEFORE = (ENTRY.format(f"from bakery.cli{module} import main") for module in (".app", ""))


@dataclass(frozen=True)
class Run:
    """One process: wall and processor seconds, the most memory in MB, and its exit code."""

    seconds: float
    processor: float
    megabytes: float
    code: int


def run(folder: Path, build: Path, entry: str, *arguments: str) -> Run:
    """Run a command of a build. This process must be small: a child's peak includes that of its parent at its birth."""
    env = {**os.environ, "PYTHONPATH": str(build), "XDG_CACHE_HOME": str(folder / f"cache-{build.name}")}
    env["PULUMI_BACKEND_URL"] = f"file://{folder / 'backend'}"
    began = time.perf_counter()
    command = [sys.executable, "-P", "-c", entry, *arguments]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        child = subprocess.Popen(command, cwd=folder, env=env, stdout=nowhere)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return Run(time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, child.returncode)


def measure(repeats: int, folder: Path, build: Path, entry: str, *arguments: str) -> dict[str, float]:
    """The medians and the peak of a command, after one that warms the caches."""
    found = [run(folder, build, entry, *arguments) for _ in range(repeats + 1)][1:]
    if any(one.code for one in found):
        raise SystemExit("the command failed, see above")
    return {
        "seconds": statistics.median(one.seconds for one in found),
        "processor": statistics.median(one.processor for one in found),
        "MB": max(one.megabytes for one in found),
    }


def elsewhere(function: Callable[..., Any], *arguments: Any) -> None:
    """Call a function in another process, so that this one stays small. Raises SystemExit."""
    child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    child.start()
    child.join()
    if child.exitcode:
        raise SystemExit("could not fill the library, see above")


def local(images: int, runs: int, before: Path | None, repeats: int) -> dict[str, dict[str, float]]:
    """Fill a library on this machine and measure; ``before`` reads a copy of it."""
    from benchmarks import _filled

    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "checkout"
        elsewhere(_filled.local, folder, images, runs)
        if before:
            elsewhere(_filled.copy, folder, Path(name) / "before")
        for command, arguments in COMMANDS.items():
            found[command] = measure(repeats, folder, ROOT, NOW, *arguments)
            if before and command != "drift":  # that build has no such command
                there = measure(repeats, folder.with_name("before"), before, BEFORE, *arguments)
                found[command] |= {f"{key} before": value for key, value in there.items()}
    return found


@contextmanager
def cloud(folder: Path, images: int) -> Iterator[Connection]:
    """A fake Google Cloud in another process; whatever is sent to it, it answers with the calls since the last time."""
    from benchmarks import _filled

    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("spawn").Process(
        target=_filled.google, args=(folder, images, FAMILIES, DELAY_SECONDS, theirs)
    )
    child.start()
    ours.recv()
    try:
        yield ours
    finally:
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()


def google(images: int, repeats: int) -> dict[str, dict[str, float]]:
    """Fill a project and measure; count the lists of images."""
    found = {}
    with tempfile.TemporaryDirectory() as name, cloud(Path(name) / "checkout", images) as calls:
        folder = Path(name) / "checkout"
        for command, arguments in COMMANDS.items():
            found[command] = measure(repeats, folder, ROOT, NOW, *arguments, "--stack", "gcp")
            calls.send("")
            counted = {method: number / (repeats + 1) for method, number in calls.recv().items()}
            found[command] |= {"lists": counted.get("compute.images.list", 0.0), "calls": sum(counted.values())}
    return found


def main() -> None:
    """Measure and print."""
    from benchmarks import _options

    parser = _options.parser(__doc__, images=10_000, runs=100_000, repeats=3)
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    parser.add_argument("--only", choices=("local", "google"))
    given = parser.parse_args()
    results: dict[str, dict[str, dict[str, float]]] = {}
    if given.only != "google":
        results["local"] = local(given.images, given.runs, given.before, given.repeats)
    if given.only != "local":
        results["google"] = google(given.images, given.repeats)
        print(f"{math.ceil(given.images / PAGE)} lists of {PAGE} images are needed")
    for kind, commands in results.items():
        for command, figures in commands.items():
            print(f"{kind:<7} {command:<10} " + ", ".join(f"{key} {value:.2f}" for key, value in figures.items()))
    _options.write(results, given)


if __name__ == "__main__":
    main()
