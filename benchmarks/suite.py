"""The test suite of two checkouts, in turns: wall seconds, processor seconds, and how the test ids differ.

Run: python benchmarks/suite.py --before FOLDER [--stages fast,engine,machines] [--runs N] [--cold] [--moved FILE]. Each
run is ``make`` with the stages' target (``test-fast``, or ``test`` for all) in the one checkout, then in the other; the
last run of each counts, so that three runs find the caches that the first two left. With ``--cold`` each run finds only
those that ``make setup`` leaves: no compiled modules and no results of mypy. FILE has a line for each moved test file:
the path before and the path now, which ``None`` leaves out.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
CACHES = (".bakery/tests/pycache", ".mypy_cache")
TARGETS = {"fast": "test-fast", "fast,engine,machines": "test"}


@dataclass(frozen=True)
class Run:
    """What one run took, in seconds; ``processor`` is user and system time of all its processes that ended."""

    wall: float
    processor: float
    code: int


def run(checkout: Path, target: str, *, cold: bool) -> Run:
    """Run a target of the checkout's Makefile, ``cold`` without the CACHES of earlier runs."""
    for cache in CACHES if cold else ():
        shutil.rmtree(checkout / cache, ignore_errors=True)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    code = subprocess.run(["make", target], cwd=checkout, check=False, stdin=subprocess.DEVNULL).returncode
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic() - began
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, code)


def ids(checkout: Path, stage: str, moved: dict[str, str]) -> set[str]:
    """Return the ids in the stage's last report, with the paths that moved files have now."""
    report = ElementTree.parse(checkout / ".bakery" / "tests" / f"{stage}.xml").getroot()
    found = set()
    for case in report.iter("testcase"):
        words = case.get("classname", "").split(".")
        depth = next((number for number, word in enumerate(words) if word.startswith("test_")), len(words) - 1)
        path = "/".join(words[: depth + 1]) + ".py"
        found.add("::".join([moved.get(path, path), *words[depth + 1 :], case.get("name", "")]))
    return found


def show_difference(stage: str, before: set[str], after: set[str]) -> None:
    """Print the ids that only one of the two checkouts has."""
    print(f"{stage}: {len(before)} tests before, {len(after)} now, {len(before & after)} in both")
    for sign, only in (("-", before - after), ("+", after - before)):
        for name in sorted(only):
            print(f"  {sign} {name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="the other checkout, set up with `make setup`")
    parser.add_argument("--stages", choices=TARGETS, default="fast")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cold", action="store_true", help="without what earlier runs compiled and type-checked")
    parser.add_argument("--moved", type=Path, help="file with the path before and the path now, one pair a line")
    given = parser.parse_args()
    if not given.before:
        print("skipped: name the other checkout with --before")
        return 0
    checkouts = (given.before.resolve(), ROOT)
    for number in range(given.runs):
        runs = [run(checkout, TARGETS[given.stages], cold=given.cold) for checkout in checkouts]
        for checkout, one in zip(checkouts, runs, strict=True):
            print(
                f"run {number + 1} {checkout}: {one.wall:.0f} s, processor {one.processor:.0f} s, exit code {one.code}"
            )
    before, after = runs
    print(
        f"ratio now to before: wall {after.wall / before.wall:.2f}, processor {after.processor / before.processor:.2f}"
    )
    pairs = (line.split() for line in given.moved.read_text(encoding="utf-8").splitlines()) if given.moved else ()
    moved = {old: new for old, new in pairs if new != "None"}
    for stage in given.stages.split(","):
        show_difference(stage, ids(checkouts[0], stage, moved), ids(ROOT, stage, {}))
    return max(one.code for one in runs)


if __name__ == "__main__":
    sys.exit(main())
