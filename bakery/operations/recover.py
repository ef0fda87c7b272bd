"""Clears what a killed run left behind, before the next ``up``: ``python -m bakery.operations.recover --stack dev``.

Only what is certainly nobody's: a lock whose process on this machine is dead, pending operations of a stack that
nobody has locked (every operation here may be done twice), and leftovers of ovens and clusters whose owners are gone.
What the library has lost meanwhile (a file deleted by hand, its records) the engine is told to look at again.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import socket
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from bakery.backends import backend as choose
from bakery.backends.base import Backend
from bakery.errors import BakeryError, from_os_error
from bakery.host import process
from bakery.operations.drift import lost
from bakery.settings import PROJECT, from_file

REFRESH_SECONDS = 600.0
ATTRIBUTES = ".attrs"  # what the file backend's storage keeps beside every file
WRITE_SECONDS = 2.0  # an engine writes its lock at one go


@dataclass(frozen=True)
class Lock:
    """A lock of Pulumi's file backend: who holds it. ``file`` is the lock; ``pid`` is 0 when it was half written."""

    file: Path
    pid: int
    host: str

    def stale(self, here: str, backend: Path, proc: Path = Path("/proc")) -> bool:
        """Whether its engine ran on this machine and is certainly gone."""
        if self.host != here:
            return False
        process = proc / str(self.pid)
        try:
            name, _, rest = (process / "stat").read_text(errors="replace").partition("(")[2].rpartition(") ")
            if "pulumi" not in name or rest[:1] in ("Z", "X"):  # a zombie does nothing, whoever fails to collect it
                return True
            return _works_elsewhere(os.fsdecode((process / "environ").read_bytes()), backend)
        except (FileNotFoundError, ProcessLookupError):
            return True
        except OSError:
            return False


def _works_elsewhere(environ: str, backend: Path) -> bool:
    """Whether an engine's environment names another backend: its process id was used again in another checkout."""
    settings = dict(setting.partition("=")[::2] for setting in environ.split("\0"))
    folder = backend_folder(settings.get("PULUMI_BACKEND_URL", ""))
    return folder is not None and folder.is_absolute() and folder.resolve() != backend.resolve()


def backend_folder(url: str) -> Path | None:
    """The folder of a ``file://`` backend; None for any other, which looks after its own locks.

    What follows ``file://`` is a path, not a host: the engine takes ``file://~`` and ``file://./state``, too.
    """
    parts = urlparse(url)
    path = unquote(parts.netloc + parts.path)
    return Path(path).expanduser() if parts.scheme == "file" and path else None


def locks(backend: Path, stack: str, project: str = PROJECT) -> Iterator[Lock]:
    """The locks of a stack; what can't be opened is left alone."""
    folder = backend / ".pulumi" / "locks" / "organization" / project / stack
    for file in sorted(folder.iterdir()) if folder.is_dir() else ():
        if file.suffix == ATTRIBUTES:
            continue
        try:
            held = json.loads(file.read_bytes())
            yield Lock(file, int(held["pid"]), str(held["hostname"]))
        except OSError:
            continue
        except (ValueError, KeyError, TypeError):
            yield Lock(file, 0, "")


def clear_locks(
    backend: Path, stack: str, here: str, sleep: Callable[[float], None] = time.sleep
) -> tuple[list[str], bool]:
    """Take away stale locks; what was done, and whether the stack is free now.

    Half a lock, which a power cut or a full disk leaves, is nobody's if it still is half a moment later: the engine
    itself would stumble over it for ever.
    """
    said: list[str] = []
    free = True
    found = list(locks(backend, stack))
    if not all(lock.pid for lock in found):
        sleep(WRITE_SECONDS)
        found = list(locks(backend, stack))
    for lock in found:
        if not lock.pid:
            said.append(f"cleared a lock that was only half written ({lock.file.name})")
        elif lock.stale(here, backend):
            said.append(f"cleared the lock of an engine that is gone (process {lock.pid})")
        else:
            free = False
            continue
        for file in (lock.file, lock.file.with_name(lock.file.name + ATTRIBUTES)):
            file.unlink(missing_ok=True)
    return said, free


def stored(backend: Path, stack: str, project: str = PROJECT) -> dict[str, Any]:
    """The stored deployment of a stack, a look at the file without an engine; empty without one that is whole."""
    folder = backend / ".pulumi" / "stacks" / project
    plain, packed = folder / f"{stack}.json", folder / f"{stack}.json.gz"
    try:
        data = gzip.decompress(packed.read_bytes()) if packed.exists() else plain.read_bytes()
        found = json.loads(data)["checkpoint"]["latest"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def pending(deployment: dict[str, Any]) -> list[str]:
    """The names of the operations of a deployment that never ended."""
    found = deployment.get("pending_operations") or ()
    return [f"{entry['type']} {_kind_and_name(entry['resource']['urn'])}" for entry in found]


def _kind_and_name(urn: str) -> str:
    types, _, name = urn.rpartition("::")
    return f"{types.rpartition(':')[2]} {name}"


def clear_pending(root: Path, stack: str) -> list[str]:
    """Take pending operations out of the state, through the engine so that the state stays a checked one."""
    state = json.loads(process.output(["pulumi", "stack", "export", "--stack", stack], cwd=root))
    names = pending(state["deployment"])
    state["deployment"].pop("pending_operations", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        file.write_text(json.dumps(state), encoding="utf-8")
        process.output(["pulumi", "stack", "import", "--stack", stack, "--file", str(file)], cwd=root)
    return [f"cleared a pending operation: {name}; it is done again" for name in names]


def refresh_lost(root: Path, backend: Backend, deployment: dict[str, Any]) -> list[str]:
    """Refresh the stack if the library has lost what the state expects, so that the next up makes it again."""
    library = backend.local_library()
    if library is None or not deployment.get("resources"):
        return []
    gone = lost(deployment, [image.name for image in library.images()], library.families())
    if gone:
        stack = backend.settings.stack
        command = ["pulumi", "refresh", "--yes", "--skip-preview", "--non-interactive", "--stack", stack]
        process.output(command, cwd=root, timeout=REFRESH_SECONDS)
    return [f"the library has lost {what}; it is made again" for what in gone]


def recover(root: Path, stack: str, backend_url: str) -> list[str]:
    """Clear all that is left over; says what was cleared."""
    said: list[str] = []
    backend, free = backend_folder(backend_url), False
    if backend is not None:
        said, free = clear_locks(backend, stack, socket.gethostname())
        if free and pending(stored(backend, stack)):
            said += clear_pending(root, stack)
    chosen = choose(from_file(root, stack))
    said += chosen.recover()
    return said + (refresh_lost(root, chosen, stored(backend, stack)) if backend and free else [])


def _free(stack: str, backend_url: str) -> None:
    """Raise BakeryError while an engine works on the stack: the next one would only stumble over its lock."""
    backend = backend_folder(backend_url)
    for lock in locks(backend, stack) if backend is not None else ():
        text = f"an engine works on stack {stack} already: process {lock.pid} of {lock.host or 'a machine'}"
        raise BakeryError(text, hint="wait until it has ended; if it is certainly gone: pulumi cancel")


def main(arguments: list[str], backend_url: str) -> int:
    """What comes before each ``up``: prints what was cleared, if anything; 1 when the stack is still locked."""
    parser = argparse.ArgumentParser(prog="python -m bakery.operations.recover", description=__doc__)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--root", type=Path, default=Path.cwd())
    options = parser.parse_args(arguments)
    try:
        for line in recover(options.root, options.stack, backend_url):
            print(f"recover: {line}")
        _free(options.stack, backend_url)
    except BakeryError as error:
        print(error.render(), file=sys.stderr)
        return 1
    except OSError as error:
        print(from_os_error(error).render(), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ.get("PULUMI_BACKEND_URL", "")))
