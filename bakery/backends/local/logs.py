"""The logs of an image on this machine: its bake, and all Fluid-Runs of it."""

from pathlib import Path

from bakery.backends.base import ImageLogs, RunLogs
from bakery.library.local.library import LocalLibrary
from bakery.library.lookup import pick
from bakery.paths import StatePaths


def find(library: LocalLibrary, state: StatePaths, wanted: str) -> ImageLogs:
    """Return the logs of an image, see :meth:`bakery.backends.base.Backend.logs`."""
    name = _name(library, state, wanted)
    log = state.logs / f"{name}.log"
    runs = tuple(
        RunLogs(run.run_id, run.started, run.verdict, run.reason, _files(run.folder))
        for run in library.runs(name, outputs=False)
    )
    bake = str(log) if log.is_file() else ""
    return ImageLogs(name, bake, log.read_bytes, _files(library.files.kept(name)), runs)


def _name(library: LocalLibrary, state: StatePaths, wanted: str) -> str:
    logged = {file.stem for file in state.logs.glob("*.log")} if state.logs.is_dir() else set()
    tested = {run.image for run in library.runs(outputs=False)}
    return pick(wanted, library.images(), library.families(), logged | tested)


def _files(folder: Path | str | None) -> tuple[str, ...]:
    if not folder or not Path(folder).is_dir():
        return ()
    return tuple(str(path) for path in sorted(Path(folder).rglob("*")) if path.is_file())
