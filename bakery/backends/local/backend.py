"""The local back end, and what back ends with a library on this machine have in common."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bakery.backends.base import ImageLogs, RunLogs
from bakery.errors import Uncertain
from bakery.paths import CLEARED_APART, StatePaths
from bakery.settings import Settings

if TYPE_CHECKING:
    from bakery.backends.base import Backend, FailedMachine
    from bakery.backends.checks import Check
    from bakery.errors import Problem
    from bakery.fluid_run.clusters.local import LocalClusters
    from bakery.library.base import ImageRecord
    from bakery.library.local.library import LocalLibrary
    from bakery.lock.resolve import LocalBases
    from bakery.ovens.base import DebugTerms, Oven
    from bakery.ovens.local.oven import LocalOven
    from bakery.plan.address import Address
    from bakery.plan.model import ImagePlan, Plan


@dataclass(frozen=True)
class ThisMachine:
    """The part of :class:`bakery.backends.base.Backend` that needs no machines."""

    settings: Settings

    @property
    def location(self) -> Mapping[str, str]:
        """Return nothing: the state folder does not identify an image."""
        return {}

    @property
    def state(self) -> StatePaths:
        """The folders of the stack."""
        return StatePaths(self.settings.state)

    def library(self) -> LocalLibrary:
        """Return the library of files."""
        from bakery.library.local.library import LocalLibrary

        return LocalLibrary(self.settings)

    def existing_library(self) -> LocalLibrary | None:
        """Return the library, or None if its folder does not exist."""
        return self.library() if self.state.library.is_dir() else None

    def damaged(self, *, contents: bool) -> list[str]:
        """Look at the files of the library's images."""
        from bakery.library.local.repair import damaged

        library = self.existing_library()
        return damaged(library, contents=contents) if library else []

    def refused(self, images: Sequence[ImagePlan]) -> list[str]:
        """Refuse nothing."""
        return []

    def beyond_quotas(self, baked: Sequence[ImagePlan], tested: Sequence[ImagePlan]) -> tuple[Problem, ...]:
        """Return nothing: what does not fit on this machine at the same time waits for a slot."""
        return ()

    def fetched(self, images: Sequence[ImagePlan]) -> Iterable[Address]:
        """Fetch nothing."""
        return ()

    def resolver(self) -> LocalBases:
        """Return the resolver of cloud images and Debian releases."""
        from bakery.lock.resolve import LocalBases

        return LocalBases(self.settings.local, self.settings.root, self.settings.network.mirrors)

    def image_link(self, name: str, digest: str) -> str:
        """Return the path of the image file."""
        return str(self.state.library / "images" / f"{digest}.qcow2")

    def store_output(self, path: str, text: str) -> bool:
        """Store a file below ``<state>/outputs``."""
        from bakery.host import versions
        from bakery.host.files import write_atomic

        def read(name: str) -> bytes | None:
            file = self.settings.state / name
            return file.read_bytes() if file.is_file() else None

        return versions.store(
            f"outputs/{path}", text.encode(), read, lambda name, data: write_atomic(self.settings.state / name, data)
        )

    def declare(self, plan: Plan) -> Sequence[Any]:
        """Declare nothing."""
        return ()

    def adopt(self, source: str, image: ImageRecord) -> ImageRecord:
        """Copy a file."""
        from bakery.library.local.adoption import adopt

        return adopt(self.library(), Path(source).expanduser().absolute(), image, self.disk)

    def take(self, name: str, source: Backend) -> bool:
        """Copy a file of another library on this machine."""
        from bakery.errors import BakeryError
        from bakery.library.local.library import LocalLibrary
        from bakery.library.local.release import take

        if source.settings.in_project:
            hint = "copy it with gcloud compute images export, and take the file with: bakery adopt"
            raise BakeryError(
                f"{name} is in the project {source.settings.google.project}, not on this machine", hint=hint
            )
        return take(self.library(), name, LocalLibrary(source.settings))

    def disk(self, file: Path) -> Path:
        """Return the file that the library keeps of a file that it was given: itself."""
        return file

    def debug_oven(self, terms: DebugTerms) -> Oven:
        """Raise BakeryError."""
        from bakery.errors import BakeryError

        raise BakeryError("this oven leaves no machine of a failed bake up", hint="see: bakery logs IMAGE")

    def failed_machine(self, family: str) -> FailedMachine | None:
        """Return none."""
        return None

    def logs(self, wanted: str) -> ImageLogs:
        """Return the logs below the state folder."""
        from bakery.library.lookup import pick

        library, logs = self.library(), self.state.logs
        name = pick(wanted, library.listing(), {*library.tested(), *(file.stem for file in logs.glob("*.log"))})
        log = logs / f"{name}.log"
        runs = tuple(
            RunLogs(run.run_id, run.started, run.verdict, run.reason, _files(run.folder))
            for run in library.runs(name, outputs=False)
        )
        bake = str(log) if log.is_file() else ""
        return ImageLogs(name, bake, log.read_bytes, _files(library.files.kept(name)), runs)

    def checks(self) -> Iterator[Check]:
        """Require nothing."""
        yield from ()

    def prune_layers(self, *, dry_run: bool = False) -> int:
        """Delete layers and boot snapshots below the state folder."""
        from bakery.fluid_run.clusters.boot_snapshots import boot_snapshots
        from bakery.ovens.local import layers

        local = self.settings.local
        freed = layers.layers(self.state, local.layers).prune(dry_run=dry_run)
        return freed + boot_snapshots(self.state, local.boot_snapshots).prune(dry_run=dry_run)

    def recover(self, *, dry_run: bool = False) -> list[str]:
        """End what killed processes left running, clear scratch folders of bakes and test runs, repair the library."""
        from bakery.fluid_run.clusters import boot_snapshots
        from bakery.fluid_run.clusters.local import clear_leftovers
        from bakery.host import process
        from bakery.host.files import clear_half_written
        from bakery.library.local.repair import repair
        from bakery.ovens.local import layers, scratch

        cleared = process.end_orphans(dry_run=dry_run) + scratch.clear(self.state, dry_run=dry_run)
        cleared += layers.clear(self.state, dry_run=dry_run)
        cleared += boot_snapshots.clear(self.state, dry_run=dry_run)
        cleared += clear_half_written(self.settings.state, CLEARED_APART, dry_run=dry_run)
        folders = clear_leftovers(self.settings, dry_run=dry_run)
        cleared += [f"cleared {folders} test clusters that were killed"] if folders else []
        library = self.existing_library()
        try:
            return [*cleared, *(repair(library, dry_run=dry_run) if library else ())]
        except Uncertain as error:  # what needs the library reports it again
            return [*cleared, f"the library was not repaired: {error}"]


def _files(folder: Path | str | None) -> tuple[str, ...]:
    """Return the paths of all files below a folder; none if it was deleted."""
    return tuple(str(path) for path in sorted(Path(folder).rglob("*")) if path.is_file()) if folder else ()


@dataclass(frozen=True)
class LocalBackend(ThisMachine):
    """A :class:`bakery.backends.base.Backend` with Packer and QEMU."""

    def oven(self) -> LocalOven:
        """Return the oven that runs Packer with QEMU."""
        from bakery.ovens.local.oven import LocalOven

        return LocalOven(self.settings)

    def fetched(self, images: Sequence[ImagePlan]) -> Iterable[Address]:
        """Fetch base images, and the plugin of a newer Packer."""
        from bakery.ovens.local.addresses import addresses

        return addresses(self.settings, images)

    def disk(self, file: Path) -> Path:
        """Return the qcow2 image that the file is or contains. Raises InfrastructureFailed."""
        from bakery.ovens.local.cloud_image import disk
        from bakery.progress.activity import Activity

        return disk(file, "the file", Activity())

    def debug_oven(self, terms: DebugTerms) -> LocalOven:
        """Keep machines up, whatever the settings say."""
        from bakery.ovens.local.oven import LocalOven

        keeping = replace(self.settings, local=self.settings.local._replace(keep_failed=True))
        return LocalOven(keeping, terms.stop)

    def failed_machine(self, family: str) -> FailedMachine | None:
        """Look for one in the scratch folders."""
        from bakery.ovens.local.debug_machine import find

        return find(self.state, self.settings.root, family, self.settings.network)

    def clusters(self, *, open_seconds: int = 0) -> LocalClusters:
        """Return clusters of QEMU machines."""
        from bakery.fluid_run.clusters.local import LocalClusters

        return LocalClusters(self.settings, open_seconds)

    def checks(self) -> Iterator[Check]:
        """Check programs, accelerator, disk and memory."""
        from bakery.backends.local.checks import checks

        return checks(self.settings)
