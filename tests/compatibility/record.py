"""Write the recorded tables again: ``python -m tests.compatibility.record <what>``; see README.md beside this file."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.compatibility import planning

COMMAND = "python -m tests.compatibility.record"
DIGESTS = "digests.json"


def digests(folder: Path) -> dict[str, Any]:
    """The digests of the packages of this repository; ``folder`` is for the checkout that plans them."""
    packages, common = planning.ROOT / "packages", planning.ROOT / "common"
    made = planning.checkout(folder, packages, common)
    return {"sources": planning.sources(packages, common), "stacks": planning.tables(made)}


TABLES: Mapping[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {"digests": (DIGESTS, digests)}


def write(name: str, content: Mapping[str, Any]) -> None:
    """Write a table for review: one value a line, sorted."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    (planning.HERE / name).write_text(text, encoding="utf-8")


def main(names: list[str]) -> int:
    """Write the named tables; returns the exit code."""
    if not names or not set(names) <= set(TABLES):
        sys.stderr.write(f"usage: {COMMAND} {{{','.join(TABLES)}}}...\n")
        return 2
    for name in names:
        file, make = TABLES[name]
        with tempfile.TemporaryDirectory() as folder:
            write(file, make(Path(folder) / "checkout"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
