"""``python -m pip``."""

from __future__ import annotations

import json
import runpy
import sys
from importlib.metadata import distributions
from pathlib import Path

OURS = Path(__file__).parents[1]


def listed() -> list[dict[str, str]]:
    """Return what ``pip list -v --format json`` says of each package; the language host reads these keys."""
    found = {one.name: one for one in reversed([*distributions()])}  # of two, the first on the path counts
    return [
        {"name": name, "version": one.version, "location": str(one.locate_file(""))}
        for name, one in sorted(found.items())
    ]


if __name__ == "__main__":
    if sys.argv[1:2] == ["list"] and "json" in " ".join(sys.argv[2:]) and "--not-required" not in sys.argv:
        print(json.dumps(listed()))
    else:
        sys.path = [entry for entry in sys.path if not entry or Path(entry) != OURS]
        del sys.modules["pip"]
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
