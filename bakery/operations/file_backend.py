"""The files of Pulumi's file backend: the locks of a stack and its stored state."""

import gzip
import json
import os
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from bakery.host.files import write_atomic
from bakery.host.proc import read_stat
from bakery.settings.files import StackFiles

ATTRIBUTES = ".attrs"  # the suffix of the file that the backend's storage keeps beside every file
WRITE_SECONDS = 2.0  # an engine writes its lock in a single call


@dataclass(frozen=True)
class EngineLock:
    """A lock and the engine that holds it. ``pid`` is 0 if the file is incomplete."""

    file: Path
    pid: int
    host: str

    def stale(self, here: str, backend: Path, proc: Path = Path("/proc")) -> bool:
        """Return whether the engine ran on this machine and has certainly ended."""
        if self.host != here:
            return False
        process = proc / str(self.pid)
        try:
            state = read_stat(process)
            if "pulumi" not in state.program or state.ended:
                return True
            return _works_elsewhere(os.fsdecode((process / "environ").read_bytes()), backend)
        except (FileNotFoundError, ProcessLookupError):
            return True
        except OSError:
            return False


def _works_elsewhere(environ: str, backend: Path) -> bool:
    """Return whether an engine's environment names another backend: its process id was reused in another checkout."""
    settings = dict(setting.partition("=")[::2] for setting in environ.split("\0"))
    folder = backend_folder(settings.get("PULUMI_BACKEND_URL", ""))
    return folder is not None and folder.is_absolute() and folder.resolve() != backend.resolve()


@dataclass(frozen=True)
class StackState:
    """A stack in a ``file://`` backend, whose folder is ``backend``."""

    backend: Path
    project: str
    stack: str


def file_backend(url: str, files: StackFiles) -> StackState | None:
    """Return where the state of a stack is; None for any other backend, which manages its own locks."""
    folder = backend_folder(url)
    return StackState(folder, files.project, files.stack) if folder else None


def backend_folder(url: str) -> Path | None:
    """Return the folder of a ``file://`` backend; None for any other backend, which manages its own locks.

    After ``file://`` comes a path, not a host: the engine also accepts ``file://~`` and ``file://./state``.
    """
    parts = urlparse(url)
    path = unquote(parts.netloc + parts.path)
    return Path(path).expanduser() if parts.scheme == "file" and path else None


def locks(state: StackState) -> Iterator[EngineLock]:
    """Yield the locks of a stack. Files that can't be opened are skipped."""
    folder = state.backend / ".pulumi" / "locks" / "organization" / state.project / state.stack
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix == ATTRIBUTES:
            continue
        try:
            held = json.loads(file.read_bytes())
            yield EngineLock(file, int(held["pid"]), str(held["hostname"]))
        except OSError:
            continue
        except (ValueError, KeyError, TypeError):
            yield EngineLock(file, 0, "")


def clear_locks(state: StackState, here: str, sleep: Callable[[float], None] = time.sleep) -> tuple[list[str], bool]:
    """Delete stale locks; return what was done, and whether the stack is unlocked now.

    An incomplete lock, which a power cut or a full disk leaves, is stale if it is still incomplete after WRITE_SECONDS.
    The engine itself would fail on it every time.
    """
    done: list[str] = []
    free = True
    held = list(locks(state))
    if not all(lock.pid for lock in held):
        sleep(WRITE_SECONDS)
        held = list(locks(state))
    for lock in held:
        if not lock.pid:
            done.append(f"cleared an incomplete lock ({lock.file.name})")
        elif lock.stale(here, state.backend):
            done.append(f"cleared the lock of an engine that has ended (process {lock.pid})")
        else:
            free = False
            continue
        for file in (lock.file, lock.file.with_name(lock.file.name + ATTRIBUTES)):
            file.unlink(missing_ok=True)
    return done, free


def stored(state: StackState) -> dict[str, Any]:
    """Return the deployment of a stack as stored, without an engine; empty if it is missing or damaged."""
    latest = (_checkpoint(_file(state)) or {}).get("latest")
    return latest if isinstance(latest, dict) else {}


def clear_attributes(state: StackState) -> list[str]:
    """Delete incomplete files of attributes beside the state, its copy and the backend's own; return what was done.

    The engine's storage writes one just before it renames a file that it has written. A kill or a full disk leaves it
    empty; then the engine reads neither this state nor, in a list of stacks, any other. A file without one is read.
    """
    done = []
    file = _file(state)
    for kept in (file, file.with_name(f"{file.name}.bak"), state.backend / ".pulumi" / "meta.yaml"):
        attributes = kept.with_name(kept.name + ATTRIBUTES)
        try:
            json.loads(attributes.read_bytes())
        except OSError:
            continue
        except ValueError:
            attributes.unlink(missing_ok=True)
            done.append(
                f"cleared the incomplete attributes of {kept.name}, as after a kill; they hold nothing of the stack"
            )
    return done


def restore(state: StackState) -> list[str]:
    """Replace a damaged state by its newest copy that can be read, or by an empty one; return what was done.

    On a full disk the engine's storage renames a file that it could write only in part: the state, then its copy. What
    an older state lacks, the next ``up`` adopts.
    """
    file = _file(state)
    if not file.exists() or _checkpoint(file) is not None:
        return []
    folder = state.backend / ".pulumi"
    copies = [file.with_name(f"{file.name}.bak")]
    for kept in ("backups", "history"):
        copies += (folder / kept / state.project / state.stack).glob(f"{state.stack}[.-]*{''.join(file.suffixes)}")
    copies = [copy for copy in copies if copy.exists() and _checkpoint(copy) is not None]
    newest = max(copies, key=lambda copy: copy.stat().st_mtime, default=None)
    empty = {"version": 3, "checkpoint": {"stack": f"organization/{state.project}/{state.stack}", "latest": None}}
    content = json.dumps(empty).encode()
    if newest is not None:
        content = newest.read_bytes()
    elif file.suffix == ".gz":
        content = gzip.compress(content)
    write_atomic(file, content, sync=True)
    source = f"restored it from {newest.name}" if newest else "the next up adopts what exists"
    return [f"the state of stack {state.stack} was damaged, as by a full disk: {source}"]


def _file(state: StackState) -> Path:
    folder = state.backend / ".pulumi" / "stacks" / state.project
    plain, packed = folder / f"{state.stack}.json", folder / f"{state.stack}.json.gz"
    return packed if packed.exists() else plain


def _checkpoint(file: Path) -> dict[str, Any] | None:
    """Return the checkpoint in a file; None if it is damaged, empty if it can't be read."""
    try:
        data = file.read_bytes()
    except OSError:
        return {}
    try:
        checkpoint = json.loads(gzip.decompress(data) if ".gz" in file.suffixes else data)["checkpoint"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None
    return checkpoint if isinstance(checkpoint, dict) else None


def pending(deployment: dict[str, Any]) -> list[str]:
    """Return the names of the operations of a deployment that did not end."""
    return [operation_name(entry) for entry in deployment.get("pending_operations") or ()]


def operation_name(operation: Mapping[str, Any]) -> str:
    """Return the words for a pending operation: ``creating BakedImage hpcc``."""
    types, _, name = operation["resource"]["urn"].rpartition("::")
    return f"{operation['type']} {types.rpartition(':')[2]} {name}"


def broken(deployment: Mapping[str, Any]) -> bool:
    """Return whether a resource refers to one that is not before it, which the engine refuses."""
    seen: set[str] = set()
    for resource in deployment.get("resources") or ():
        needed = {urn for urns in (resource.get("propertyDependencies") or {}).values() for urn in urns or ()}
        needed |= {resource.get("parent"), resource.get("deletedWith"), *(resource.get("dependencies") or ())}
        needed.add(str(resource.get("provider") or "").rpartition("::")[0])
        if needed - seen - {None, ""}:
            return True
        seen.add(resource["urn"])
    return False
