"""Builds actionlint for ``make test-slow`` from the Go module that ``tools/actionlint`` pins, and prints its folder."""

import sys
from functools import partial

from tools import build_packer

PACKAGES = {"actionlint": "github.com/rhysd/actionlint/cmd/actionlint"}

folder = partial(build_packer.folder, PACKAGES)

if __name__ == "__main__":
    sys.exit(build_packer.main(PACKAGES))
