"""Spoils recipe files until it is stopped. Run: python -m tests.support.fuzz [--seconds N] [--count N] [--seed N].

A seed that fails is printed with its file and content; put it into a test.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.support import recipe_tree
from tests.support.mutation import FILES, HCL2, mutated, survive


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--count", type=int, default=10**9, help="files at most")
    parser.add_argument("--seed", type=int, default=random.randrange(10**9))
    chosen = parser.parse_args()
    end = time.monotonic() + chosen.seconds
    with tempfile.TemporaryDirectory() as folder:
        json, hcl2 = Path(folder) / "json", Path(folder) / "hcl2"
        recipe_tree.write(json, FILES)
        recipe_tree.write(hcl2, {"packer.json": None, **HCL2})
        seed = chosen.seed
        while time.monotonic() < end and seed < chosen.seed + chosen.count:
            second = bool(seed % 2)
            path, content = mutated(seed, second)
            try:
                survive(hcl2 if second else json, path, content, HCL2 if second else FILES)
            except Exception:
                traceback.print_exc()
                print(f"seed {seed}: {path}\n{content!r}")
                return 1
            seed += 1
    print(f"{seed - chosen.seed} spoilt files from seed {chosen.seed} on, none did harm")
    return 0


if __name__ == "__main__":
    sys.exit(main())
