"""Make the stacks of :mod:`tests.compatibility.made` in ``/opt/bakery/checkout`` and keep their states and library.

Run with the version that is to be recorded, whose checkout is /opt/bakery: see README.md beside this file.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.compatibility import made, planning
from tests.support.workshop import Workshop, init

# Not kept: locks and scratch folders, which belong to processes that ended.
LEFT_OUT = shutil.ignore_patterns("bakes", "leases", "library.lock", "*.sqlite-wal", "*.sqlite-shm", "work", ".*")

POSITIONS = ("sourcePosition", "stackTrace")


def main(output: str, engine_path: str) -> int:
    """Make everything in ``MADE_AT``, which must not exist, and write the fixtures below ``output``."""
    folder = Path(made.MADE_AT)
    home = Path("/opt/bakery/checkout-home")
    stacks = {stack: _stack(folder, home, engine_path, stack) for stack in ("promoted",)}
    first = stacks["promoted"]
    made.packages(folder, solver="make solver-before")
    init(first).must_up()
    made.packages(folder)
    first.must_up()  # the image of before is DEPRECATED, with a replacement
    _again(first, "matrix").must_up()
    failed = _again(first, "failed").up()
    assert failed.code != 0, failed.text
    removed = _again(first, "removed", select=made.REMOVED_BEFORE)
    removed.must_up()
    removed.extra["select"] = ["kept"]
    removed.must_up()
    _keep(first, Path(output))
    return 0


def _stack(folder: Path, home: Path, engine_path: str, stack: str) -> Workshop:
    return made.workshop(folder, home, engine_path, stack)


def _again(first: Workshop, stack: str, **settings: object) -> Workshop:
    """Another stack of the same checkout."""
    other = Workshop(first.folder, first.env, extra={**made.STACKS[stack], **settings}, stack=stack)
    return init(other)


def _keep(first: Workshop, output: Path) -> None:
    for stack in made.STACKS:
        shown = Workshop(first.folder, first.env, extra=dict(made.STACKS[stack]), stack=stack)
        state = without_positions(json.loads(shown.run("stack", "export").text))
        made.put(output / "states" / f"{stack}.json", json.dumps(state, indent=1) + "\n")
    state_folder = first.folder / ".bakery"
    with closing(sqlite3.connect(state_folder / "library" / "library.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    kept = output / "libraries" / made.FIRST
    shutil.copytree(state_folder, kept / "state", ignore=LEFT_OUT, copy_function=shutil.copyfile)
    answers = {
        "library": json.loads(planning.command(first.folder, "library", "--json", "--stack", "promoted").stdout),
        "plans": {
            stack: json.loads(planning.command(first.folder, "plan", "--json", "--stack", stack).stdout)
            for stack in made.STACKS
        },
    }
    made.put(kept / "answers.json", json.dumps(answers, indent=1, sort_keys=True) + "\n")


def without_positions(state: Any) -> Any:
    """The state without the engine's notes on where in a program a resource was declared: they name home folders."""
    if isinstance(state, dict):
        return {key: without_positions(value) for key, value in state.items() if key not in POSITIONS}
    return [without_positions(value) for value in state] if isinstance(state, list) else state


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
