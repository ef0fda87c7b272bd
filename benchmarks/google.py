"""The gcp stack with the real engine in the fake Google Cloud: many bakes at once, and a preview with nothing to do.

Run: python benchmarks/google.py [--bakes N] [--images N] [--delay SECONDS] [--seconds SECONDS] [--before FOLDER]
[--turns N] [--json FILE], in an environment with the engine (source tools/env.sh). ``--bakes``: one ``up`` of N
independent recipes, whose builds take ``--seconds`` each; counted are the seconds from the first bake's begin to the
last one's end, as the engine's own events have them, and the calls by method, each of which takes ``--delay`` longer.
``--before``: the same with the product of commit 22c604a from a checkout that is set up, in turns with this one.
``--images``: previews of N promoted images, in turns with those of a trivial program with as many resources (medians),
and the peak memory of program and plugin. 0 leaves a part out.

The wall time against 22c604a is bounded for ``--delay 0.05``. How long the builds take is open there: with 60 s, the
default, both wait for them; with ``--seconds 5`` what the bakery adds itself is compared. Test machines need no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.pop(0)  # this folder: this file would hide the package google
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import _before, _options, _stacks
from benchmarks._stacks import PROCESSES, UP, Cost
from tests.fake_google import builds
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Fault
from tests.gcp.stack import Stack, declared
from tests.support.root import ROOT

BUILD_SECONDS = 60.0
REPEATS = 3
UP_SECONDS = 3600


def up(stack: Stack, *arguments: str) -> None:
    """An up that has to end well."""
    done = stack.workshop.run("up", "--yes", "--skip-preview", *arguments, timeout=UP_SECONDS)
    if done.code != 0:
        faults = [line for line in done.text.splitlines() if "error:" in line]
        raise SystemExit("\n".join(["the up failed:", *faults[:20], done.text[-1000:]]))


def bakes(stack: Stack, count: int, seconds: float, delay: float) -> dict[str, float]:
    """Seconds of that many independent bakes and of the whole up around them, and the calls of all and each method."""
    builds.script(stack.server.cloud, lambda _build: Course(seconds=seconds))
    stack.server.cloud.conditions.caller = ""  # the owner, as on the first day; that commit has other roles
    stack.server.cloud.faults += [Fault(".", times=-1, delay=delay)] if delay else []
    for number in range(count):
        stack.workshop.recipe(f"image-{number:04d}")
    events = stack.workshop.folder / "events.json"
    stack.workshop.env["PULUMI_DEBUG_COMMANDS"] = "true"  # only then the engine takes --event-log
    began = time.perf_counter()
    up(stack, "--event-log", str(events))
    whole = time.perf_counter() - began
    begun: list[float] = []
    ended: list[float] = []
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        for kind, moments in (("resourcePreEvent", begun), ("resOutputsEvent", ended)):
            if event.get(kind, {}).get("metadata", {}).get("type", "").endswith(":BakedImage"):
                moments.append(event["timestamp"])
    if len(ended) != count:
        raise SystemExit(f"{len(ended)} of {count} images were baked")
    calls = Counter(method for _, method, _ in stack.server.cloud.calls)
    times = {"bakes": count, "seconds": max(ended) - min(begun), "whole": whole, "floor": seconds}
    return times | {"calls": calls.total()} | dict(calls.most_common())


def in_turns(given: argparse.Namespace, folder: Path, engine: str) -> dict[str, list[dict[str, float]]]:
    """The bakes of this checkout, ``now``, and of that commit, ``before``, one after the other."""
    roots = {"now": ROOT}
    if given.before:
        (folder / "product").mkdir()
        roots["before"] = _before.copy(given.before.resolve(), folder / "product")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in roots}
    for turn in range(given.turns):
        for name, root in roots.items():
            place = folder / f"{name}-{turn}"
            place.mkdir()
            with declared(place, folder / f"home-{name}", engine, root=root) as stack:
                one = bakes(stack, given.bakes, given.seconds, given.delay)
            found[name].append(one)
            text = "{bakes} bakes of {floor:.0f} s: {seconds:.0f} s, whole up {whole:.1f} s, {calls} calls"
            print(f"{name}:", text.format(**one), flush=True)
    return found


def show(found: Mapping[str, list[dict[str, float]]]) -> None:
    """Print the calls of the last turns by method, and the ratios now to before."""
    last = [runs[-1] for runs in found.values()]
    for method in sorted({key for one in last for key in one if "." in key}, key=lambda key: -last[-1].get(key, 0)):
        print("".join(f"{one.get(method, 0):6}" for one in last), method)
    if "before" in found:
        for key in ("whole", "seconds", "calls"):
            now, before = ([one[key] for one in found[name]] for name in ("now", "before"))
            medians = statistics.median(now) / statistics.median(before)
            print(f"{key}: {medians:.2f} of medians, {min(now) / min(before):.2f} of the least")


def previews(stack: Stack, count: int, folder: Path) -> dict[str, float]:
    """Medians of a preview with nothing to do and of the trivial program's, their ratio, and the peak memory."""
    builds.script(stack.server.cloud, lambda _build: Course())
    for number in range(count):
        stack.workshop.recipe(f"image-{number:04d}")
    # The state on disk is written whole after each resource: of thousands, that is nearly all of the up, which is only
    # the set-up here. Written once at its end instead.
    stack.workshop.env |= {"PULUMI_EXPERIMENTAL": "true", "PULUMI_SKIP_CHECKPOINTS": "true"}
    with Cost() as first:
        up(stack)
    stacks = {"bakery": _stacks.Stack(stack.workshop.folder, stack.workshop.env, stack.workshop.stack)}
    resources = len(stack.workshop.deployment()["resources"])
    stacks["trivial"] = _stacks.trivial(folder / "trivial", stack.workshop, resources)
    stacks["trivial"].run(*UP)
    costs: Mapping[str, list[Cost]] = {"bakery": [], "trivial": []}
    for _ in range(REPEATS):
        for kind, found in costs.items():
            found.append(stacks[kind].preview())
    medians = {kind: statistics.median(one.seconds for one in found) for kind, found in costs.items()}
    peaks = {f"up {kind} MiB": value for kind, value in first.peak.items()}
    peaks |= {f"preview {kind} MiB": max(one.peak[kind] for one in costs["bakery"]) for kind in PROCESSES}
    return {"resources": resources, **medians, "ratio": medians["bakery"] / medians["trivial"], **peaks}


def main() -> None:
    """Measure and print."""
    parser = _options.parser(__doc__, bakes=64, images=1000, turns=1)
    parser.add_argument("--delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--seconds", type=float, default=BUILD_SECONDS, metavar="SECONDS")
    parser.add_argument("--before", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    engine = _stacks.engine()
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.bakes:
            found["bakes"] = in_turns(arguments, folder, engine)
            show(found["bakes"])
        if arguments.images:
            (folder / "images").mkdir()
            with declared(folder / "images", folder / "home", engine) as stack:
                found["images"] = previews(stack, arguments.images, folder)
            print(", ".join(f"{key} {value:.2f}".removesuffix(".00") for key, value in found["images"].items()))
    _options.write(found, arguments)


if __name__ == "__main__":
    main()
