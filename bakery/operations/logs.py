"""Where the logs of an image lie on this machine: its bake, and every Fluid-Run of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bakery.library.local.library import LocalLibrary
from bakery.library.lookup import pick
from bakery.paths import StatePaths
from bakery.results.model import Verdict


@dataclass(frozen=True)
class RunLogs:
    """One Fluid-Run: when it began, what it said, and the files in its folder (none when that was cleared)."""

    run_id: str
    started: str
    verdict: Verdict
    reason: str
    folder: Path
    files: tuple[Path, ...]


@dataclass(frozen=True)
class ImageLogs:
    """All logs of one image. ``bake`` is None when it was baked elsewhere or its log was cleared.

    ``kept`` are the files that the bake brought back (``spack.lock``).
    """

    image: str
    bake: Path | None
    kept: tuple[Path, ...]
    runs: tuple[RunLogs, ...]


def find(library: LocalLibrary, state: StatePaths, wanted: str) -> ImageLogs:
    """The logs of an image; ``wanted`` is its name, the start of its name or digest, or a family (its newest image).

    An image whose bake failed has a log and no record: it is found by its name. Raises BakeryError with what there
    is when nothing or more than one image fits.
    """
    name = _name(library, state, wanted)
    bake = state.logs / f"{name}.log"
    runs = tuple(
        RunLogs(run.run_id, run.started, run.verdict, run.reason, Path(run.folder or ""), _files(run.folder))
        for run in library.runs(name, outputs=False)
    )
    return ImageLogs(name, bake if bake.is_file() else None, _files(library.files.kept(name)), runs)


def _name(library: LocalLibrary, state: StatePaths, wanted: str) -> str:
    logged = {file.stem for file in state.logs.glob("*.log")} if state.logs.is_dir() else set()
    tested = {run.image for run in library.runs(outputs=False)}
    return pick(wanted, library.images(), library.families(), logged | tested)


def _files(folder: Path | str | None) -> tuple[Path, ...]:
    if not folder or not Path(folder).is_dir():
        return ()
    return tuple(sorted(path for path in Path(folder).rglob("*") if path.is_file()))
