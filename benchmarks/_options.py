"""What the benchmarks have in common: numbers on the command line, and a file for their figures."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def parser(doc: str | None, **numbers: int) -> argparse.ArgumentParser:
    """The parser of ``--json FILE`` and of an option for each number, with its default."""
    made = argparse.ArgumentParser(description=doc)
    for name, default in numbers.items():
        made.add_argument(f"--{name}", type=int, default=default, metavar="N")
    made.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    return made


def write(figures: object, given: argparse.Namespace) -> None:
    """Write the figures into the file that was ``given``, if any."""
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
