"""Where a stack keeps its things below the state folder, and what all checkouts of a user share."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

# Scratch folders of a Fluid-Run, by its id: the cluster's, and the workspace that the cluster is given.
CLUSTER = "run-"
WORKSPACE = "workspace-"


def cache() -> Path:
    """The user's cache, shared by all checkouts: engine, base images, downloads. Safe to delete at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "image-bakery"


@dataclass(frozen=True)
class StatePaths:
    """The folders below ``state`` (``.bakery`` in the checkout unless the settings say otherwise)."""

    state: Path

    @property
    def orders(self) -> Path:
        """BakeOrder and TestOrder files, by image name; written by the program, read by the plugin."""
        return self.state / "orders"

    @property
    def library(self) -> Path:
        """The local library: ``images/`` with qcow2 files by digest and ``library.sqlite``."""
        return self.state / "library"

    @property
    def runs(self) -> Path:
        """A folder for each Fluid-Run: outputs, results, machine logs."""
        return self.state / "runs"

    @property
    def logs(self) -> Path:
        """A log for each bake."""
        return self.state / "logs"

    @property
    def work(self) -> Path:
        """Scratch folders of what runs now; leftovers of what was killed are cleared from here."""
        return self.state / "work"
