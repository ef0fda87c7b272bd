"""A roll-back in the local library, against the engine's own `up` that finds nothing to do: at most 1 s more.

Run: python benchmarks/rollback.py [--repeats N] [--json FILE]. A stack with a parent and a child that was baked twice.
A pin takes the child back and forward in turn, and after each of them a second `up` finds nothing to do. Figures are
medians in seconds, wall clock of `pulumi up --skip-preview`; the fake oven has made the images.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _options
from tests.support import workshop
from tests.support.workshop import Workshop

FAMILY = "child"


def twice(folder: Path) -> tuple[Workshop, list[str]]:
    """A stack whose child was baked twice, and the child's images."""
    engine = str(Path(shutil.which("pulumi") or "pulumi").parent)
    made = workshop.init(workshop.make(folder / "checkout", folder / "home", engine))
    made.recipe("base")
    made.recipe(FAMILY, parent="base")
    images = []
    for word in ("one", "two"):
        made.write(f"packages/{FAMILY}/install.sh", f"#!/bin/bash\necho {word}\n")
        made.must_up()
        images.append(made.families()[FAMILY])
    return made, images


def up(made: Workshop, *options: str) -> float:
    """The seconds of an ``up``."""
    made.configure()
    began = time.perf_counter()
    made.must_up(*options)
    return time.perf_counter() - began


def measure(repeats: int) -> dict[str, float]:
    """The medians of both, and the difference."""
    moved, unchanged = [], []
    with tempfile.TemporaryDirectory() as name:
        made, images = twice(Path(name))
        for number in range(repeats):
            image = images[number % 2]
            made.extra["pins"] = {FAMILY: image}
            moved.append(up(made))
            assert made.families()[FAMILY] == image
            unchanged.append(up(made, "--expect-no-changes"))
    medians = {"roll-back": statistics.median(moved), "no change": statistics.median(unchanged)}
    return {**medians, "more": medians["roll-back"] - medians["no change"]}


def main() -> None:
    """Measure and print."""
    given = _options.parser(__doc__, repeats=7).parse_args()
    found = measure(given.repeats)
    print(", ".join(f"{key} {value:.2f} s" for key, value in found.items()) + " (at most 1 s more)")
    _options.write(found, given)


if __name__ == "__main__":
    main()
