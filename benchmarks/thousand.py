"""A stack of many images against a trivial program with as many plain dynamic resources, command by command.

Run: python benchmarks/thousand.py [--images N] [--turns N] [--json FILE], in an environment with the engine (source
tools/env.sh). Both stacks have their state in a folder, the same engine and the same .venv, and take turns: one command
at a time, first the trivial program's. The fake oven needs no time. Each turn makes both stacks anew:

- ``first up``, and ``preview`` with nothing to do,
- ``exclude``: a recipe (as many plain resources) was changed, and `up` leaves just that out,
- ``target``: `up` makes just that; ``changed``: it was changed again, and `up` has no options,
- ``refresh``: `up --refresh` with nothing to do.

Figures are medians of wall seconds and of processor seconds, and the most memory that program and plugin took, in MiB.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.pop(0)  # this folder: its google.py would hide the package
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _options, _stacks
from benchmarks._stacks import CHANGED, UP, WORD, Cost, Stack
from tests.support.workshop import Workshop

KINDS = ("trivial", "bakery")
AT_MOST = {"first up": 0.8, "preview": 1.15, "exclude": 1.0, "target": 1.0, "changed": 1.0, "refresh": 1.0}
MEMORY_MIB = 250
EDITED = "image-0000"
URN = "urn:pulumi:dev::{}"
BAKED, TESTED, PROMOTED = (
    "image-bakery::pulumi-python:dynamic/bakery:BakedImage" + kind + f"::{EDITED}"
    for kind in ("", "$pulumi-python:dynamic/bakery:FluidRunTest", "$pulumi-python:dynamic/bakery:PromotedImage")
)
CHOSEN: Mapping[str, Iterable[str]] = {
    "bakery": (BAKED, TESTED, PROMOTED),
    "trivial": [f"trivial::pulumi-python:dynamic/plain:Plain::plain-{number}" for number in range(CHANGED)],
}


@dataclass
class Pair:
    """Both stacks of a turn."""

    stacks: Mapping[str, Stack]
    made: Workshop
    edits: int = 0

    def edit(self) -> None:
        """Change a recipe, and as many resources of the trivial program."""
        self.edits += 1
        self.made.write(f"packages/{EDITED}/install.sh", f"#!/bin/bash\necho {self.edits}\n")
        (self.stacks["trivial"].folder / WORD).write_text(str(self.edits), encoding="utf-8")

    def up(self, *options: str) -> Iterator[tuple[str, Cost]]:
        """Run `up` in both stacks; ``options`` apply to each resource of the changed image."""
        for kind in KINDS:
            chosen = [word for urn in CHOSEN[kind] for option in options for word in (option, URN.format(urn))]
            yield kind, self.stacks[kind].run(*UP, *chosen)

    def refresh(self) -> Iterator[tuple[str, Cost]]:
        """Run `up --refresh` in both."""
        yield from ((kind, self.stacks[kind].run(*UP, "--refresh")) for kind in KINDS)

    def preview(self) -> Iterator[tuple[str, Cost]]:
        """Preview both."""
        yield from ((kind, self.stacks[kind].preview()) for kind in KINDS)


@dataclass
class Figures:
    """What the commands took, by command and stack."""

    costs: dict[str, dict[str, list[Cost]]] = field(default_factory=dict)

    def add(self, command: str, run: Callable[..., Iterator[tuple[str, Cost]]], *options: str) -> None:
        """Run a command in both stacks and keep what it took."""
        for kind, cost in run(*options):
            self.costs.setdefault(command, {}).setdefault(kind, []).append(cost)
            peaks = ", ".join(f"{name} {value:.0f} MiB" for name, value in cost.peak.items())
            line = f"{command:8} {kind:7} {cost.seconds:6.1f} s, processor {cost.processor:6.1f} s, {peaks}"
            print(line, flush=True)

    def table(self) -> dict[str, dict[str, float]]:
        """Medians, and the ratio of the bakery to the trivial program, by command."""
        found = {}
        for command, kinds in self.costs.items():
            middle = {kind: statistics.median(one.seconds for one in costs) for kind, costs in kinds.items()}
            busy = {kind: statistics.median(one.processor for one in costs) for kind, costs in kinds.items()}
            found[command] = {
                **middle,
                "ratio": middle["bakery"] / middle["trivial"],
                **{f"{kind} processor": value for kind, value in busy.items()},
                "processor ratio": busy["bakery"] / busy["trivial"],
                "MiB": max(one.memory for one in kinds["bakery"]),
                "trivial MiB": max(one.memory for one in kinds["trivial"]),
            }
        return found


def turn(folder: Path, images: int, figures: Figures) -> int:
    """One turn of all commands; return the number of resources that the programs declare."""
    made = _stacks.bakery(folder / "bakery", images)
    count = 3 * images
    stacks = {"bakery": Stack(made.folder, made.env), "trivial": _stacks.trivial(folder / "trivial", made, count)}
    pair = Pair(stacks, made)
    figures.add("first up", pair.up)
    if len(made.resources()) != count:
        raise SystemExit(f"{len(made.resources())} resources were made, not {count}")
    figures.add("preview", pair.preview)
    pair.edit()
    figures.add("exclude", pair.up, "--exclude")
    figures.add("target", pair.up, "--target")
    pair.edit()
    figures.add("changed", pair.up)
    figures.add("refresh", pair.refresh)
    return count


def main() -> None:
    """Measure and print."""
    given = _options.parser(__doc__, images=200, turns=3).parse_args()
    figures, count = Figures(), 0
    for _ in range(given.turns):
        with tempfile.TemporaryDirectory() as name:
            count = turn(Path(name), given.images, figures)
    found = figures.table()
    print(f"{given.images} images, {count} resources; seconds: trivial, bakery, ratio; the same of the processors; MiB")
    for command, row in found.items():
        print(
            f"{command:8} {row['trivial']:7.2f} {row['bakery']:7.2f} {row['ratio']:.2f} (at most {AT_MOST[command]})"
            f" {row['trivial processor']:7.2f} {row['bakery processor']:7.2f} {row['processor ratio']:.2f}"
            f" {row['trivial MiB']:6.0f} {row['MiB']:6.0f} (at most {MEMORY_MIB})"
        )
    _options.write(found, given)


if __name__ == "__main__":
    main()
