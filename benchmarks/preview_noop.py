"""A preview that finds nothing to do, against a trivial program with as many plain dynamic resources.

Run: python benchmarks/preview_noop.py [--images N] [--json FILE]. Both stacks are up to date, use the same engine and
the same .venv, and take turns; figures are medians in seconds, wall clock of the whole command. Without ``--images``
the recipes are the two of the dev stack; with it, that many small ones. The fake oven has made the images: a preview
never looks at one.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

sys.path.pop(0)  # this folder: its google.py would hide the package
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _options, _stacks
from benchmarks._stacks import UP, Stack

REPEATS = 7


def measure(images: int) -> dict[str, float]:
    """Both medians and their ratio."""
    with tempfile.TemporaryDirectory() as name:
        made = _stacks.bakery(Path(name) / "bakery", images)
        stacks = {"bakery": Stack(made.folder, made.env)}
        stacks["bakery"].run(*UP)
        count = len(made.resources())
        stacks["trivial"] = _stacks.trivial(Path(name) / "trivial", made, count)
        stacks["trivial"].run(*UP)
        seconds: dict[str, list[float]] = {"bakery": [], "trivial": []}
        for _ in range(REPEATS):
            for kind, found in seconds.items():
                found.append(stacks[kind].preview().seconds)
    medians = {kind: statistics.median(found) for kind, found in seconds.items()}
    return {"resources": count, **medians, "ratio": medians["bakery"] / medians["trivial"]}


def main() -> None:
    """Measure and print."""
    arguments = _options.parser(__doc__, images=0).parse_args()
    found = measure(arguments.images)
    print(
        f"{found['resources']:.0f} resources: bakery {found['bakery']:.2f} s, trivial {found['trivial']:.2f} s, "
        f"ratio {found['ratio']:.2f} (at most 1.5)"
    )
    _options.write(found, arguments)


if __name__ == "__main__":
    main()
