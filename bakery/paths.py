"""The folders of a stack below its state folder, and the cache that all checkouts of a user share."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# Prefixes of the scratch folders of a Fluid-Run; its ID follows.
CLUSTER = "run-"
WORKSPACE = "workspace-"

# Folders below the state folder that are large, and in which others clear what killed processes left.
CLEARED_APART = ("engine", "layers", "library/images", "pulumi-home", "snapshots", "tests", "work")


def cache() -> Path:
    """Return the user's cache folder: engine, base images, downloads. It is safe to delete at any time."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "image-bakery"


def below(root: Path, text: str) -> Path:
    """Return a path that a user wrote: one that starts at ``root``, is absolute, or begins with ~.

    A ~ of a user that this computer does not have is the name of a folder, as it is to a shell.
    """
    with suppress(RuntimeError):
        return root / Path(text).expanduser()
    return root / text


def shipped() -> Path:
    """Return the folder of the shipped ``packages``, ``common`` and ``bakery.lock``: in the wheel, or the checkout."""
    installed = Path(__file__).parent / "shipped"
    return installed if installed.is_dir() else Path(__file__).parents[1]


class StatePaths(NamedTuple):
    """The folders below ``state`` (``.bakery`` in the checkout unless the settings say otherwise)."""

    state: Path

    @property
    def orders(self) -> Path:
        """Order files by image name; written by the Pulumi program, read by its plugin."""
        return self.state / "orders"

    @property
    def library(self) -> Path:
        """The local library: ``images/`` with qcow2 files by digest, and ``library.sqlite``."""
        return self.state / "library"

    @property
    def reserve(self) -> Path:
        """A file that only takes space: ``bakery prune`` deletes it if the disk is full, since SQLite needs room."""
        return self.library / "reserve"

    @property
    def runs(self) -> Path:
        """One folder per Fluid-Run: outputs, results, logs of machines."""
        return self.state / "runs"

    @property
    def layers(self) -> Path:
        """Disks of bakes after some of their provisioners, for later bakes; see :mod:`bakery.ovens.local.layers`."""
        return self.state / "layers"

    @property
    def snapshots(self) -> Path:
        """Machines that have booted, for later machines; see :mod:`bakery.fluid_run.clusters.boot_snapshots`."""
        return self.state / "snapshots"

    @property
    def logs(self) -> Path:
        """One log per bake."""
        return self.state / "logs"

    @property
    def grants(self) -> Path:
        """When the program first saw each grant of a gcp stack; see :mod:`bakery.host.propagation`."""
        return self.state / "grants.json"

    @property
    def work(self) -> Path:
        """Scratch folders of running work; ``bakery recover`` deletes those of killed processes."""
        return self.state / "work"
