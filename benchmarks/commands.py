"""Short commands of a checkout, process included: ``bakery --help`` and ``bakery plan`` of three of its recipes.

Run: python benchmarks/commands.py [--before FOLDER] [--repeats N] [--json FILE]. The floor is Python's own start.
With the FOLDER of another checkout that is set up, its commands and recipes take turns with these. Figures are medians
in seconds of wall clock, of runs that find the caches of an earlier one.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _options

ROOT = Path(__file__).resolve().parent.parent
RECIPES = ("hpcc", "rcc-centos", "rcc-debian")
FLOOR = "python -c pass"


def commands(checkout: Path, packages: Path) -> dict[str, list[str]]:
    """The words of the commands by the names that figures have; ``packages`` gets the checkout's recipes."""
    for name in RECIPES:
        shutil.copytree(checkout / "packages" / name, packages / name)
    folder = checkout / ".venv" / "bin"
    plan = [f"{folder}/bakery", "plan", "--all", "--no-library", "--packages", str(packages)]
    return {
        FLOOR: [f"{folder}/python", "-c", "pass"],
        "bakery --help": [f"{folder}/bakery", "--help"],
        f"bakery plan of {len(RECIPES)}": plan,
    }


def seconds(words: list[str], checkout: Path) -> float:
    """The wall clock of a command in a checkout, which must succeed."""
    began = time.perf_counter()
    done = subprocess.run(words, cwd=checkout, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} failed in {checkout}:\n{done.stdout}{done.stderr}")
    return took


def measure(checkouts: dict[str, Path], repeats: int) -> dict[str, dict[str, float]]:
    """The medians of each command, by checkout."""
    with tempfile.TemporaryDirectory() as folder:
        every = {
            (kind, name): (words, checkout)
            for kind, checkout in checkouts.items()
            for name, words in commands(checkout, Path(folder) / kind).items()
        }
        for one in every.values():
            seconds(*one)
        found: dict[tuple[str, str], list[float]] = {key: [] for key in every}
        for _ in range(repeats):
            for key, one in every.items():
                found[key].append(seconds(*one))
    return {
        kind: {name: statistics.median(found[kind, name]) for at, name in found if at == kind} for kind in checkouts
    }


def main() -> None:
    """Measure and print."""
    parser = _options.parser(__doc__, repeats=15)
    parser.add_argument("--before", type=Path, metavar="FOLDER", help="another checkout, set up with `make setup`")
    arguments = parser.parse_args()
    checkouts = {"now": ROOT} | ({"before": arguments.before.resolve()} if arguments.before else {})
    medians = measure(checkouts, arguments.repeats)
    for name, now in medians["now"].items():
        before = medians.get("before", {}).get(name)
        print(f"{name}: {now:.3f} s" + (f", before {before:.3f} s, ratio {now / before:.2f}" if before else ""))
    _options.write(medians, arguments)


if __name__ == "__main__":
    main()
