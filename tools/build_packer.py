"""Builds Packer and its googlecompute plugin for ``make test-slow``, and prints their folder.

Both come from the Go modules that ``tools/packer`` and ``tools/googlecompute`` pin, and stay in the user's cache until
a pin changes. A first build takes some ten minutes on two processors. Progress is written to standard error.
"""

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from bakery.paths import cache
from tools.engine import TOOLS, Unavailable, go_toolchain, run, say

PACKAGES = {
    "packer": "github.com/hashicorp/packer",
    "googlecompute": "github.com/hashicorp/packer-plugin-googlecompute",
}


def folder(packages: Mapping[str, str] = PACKAGES) -> Path:
    """Return the place of the programs in the cache, which does not exist before they are built."""
    pins = b"".join((TOOLS / module / name).read_bytes() for module in packages for name in ("go.mod", "go.sum"))
    return cache() / next(iter(packages)) / hashlib.sha256(pins).hexdigest()[:16]


def build(scratch: Path, packages: Mapping[str, str]) -> None:
    """Build the programs into ``scratch``. Raises Unavailable."""
    go = go_toolchain(scratch)
    env = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", "GOTOOLCHAIN": "auto"}
    for module, package in packages.items():
        say(f"building {package.rpartition('/')[2]} from tools/{module}/go.mod (minutes; once, then cached)")
        # Without debug information; the version is in the sources.
        flags = ["-trimpath", "-ldflags", "-s -w", "-o", f"{scratch}/"]
        run(["nice", go, "build", *flags, package], cwd=TOOLS / module, env=env)
    shutil.rmtree(scratch / "go", ignore_errors=True)


def main(packages: Mapping[str, str] = PACKAGES) -> int:
    """Build what is not in the cache, and print the folder."""
    target = folder(packages)
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another checkout may build the same
        if not target.exists():
            scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
            try:
                build(scratch, packages)
                scratch.rename(target)
            except Unavailable as error:
                print(f"{target.parent.name} can't be built: {error}", file=sys.stderr)
                return 1
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
