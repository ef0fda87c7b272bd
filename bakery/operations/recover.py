"""Clears what killed processes left, before the next ``pulumi up``: ``bakery recover``.

Only what certainly has no owner is cleared: the lock of a process of this machine that has ended, pending operations of
a stack that is not locked (every operation here may be repeated), and leftovers of ovens and clusters whose processes
have ended. A state that the engine wrote and refuses to read (`pulumi up --exclude` of a new resource) is repaired. The
next ``up`` sees what the library has lost; if its disk does not seem to be mounted, that ``up`` is prevented.
"""

import json
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bakery.backends import backend
from bakery.errors import BakeryError
from bakery.host import process
from bakery.host.engine import stack_settings
from bakery.operations.file_backend import broken, clear_locks, file_backend, locks, pending, stored
from bakery.preview.snapshot import expected
from bakery.settings.files import find


def recover(root: Path, stack: str, backend_url: str, config_file: str = "") -> Iterator[str]:
    """Clear all leftovers of the stack; yield a line for each. ``backend_url`` is Pulumi's.

    Raises Uncertain if the disk of the library is not mounted, and BakeryError at the end if an engine still holds the
    stack's lock: the next one would only fail on it.
    """
    files = find(root, stack, config_file)
    state, free = file_backend(backend_url, files), False
    if state is not None:
        done, free = clear_locks(state, socket.gethostname())
        yield from done
        if free and broken(stored(state)):
            yield repair(root, files.stack)
        if free and pending(stored(state)):
            yield from clear_pending(root, files.stack)
    chosen = backend(stack_settings(root, stack, config_file))
    if state is not None and images_of(stored(state)):
        expected(chosen.settings, chosen.existing_library)
    yield from chosen.recover()
    for lock in locks(state) if state is not None else ():
        text = f"an engine works on stack {stack} already: process {lock.pid} of {lock.host or 'a machine'}"
        raise BakeryError(text, hint="wait until it has ended; if it has certainly ended: pulumi cancel")


def images_of(deployment: Mapping[str, Any]) -> list[str]:
    """Return the names of the images that a deployment has."""
    resources = deployment.get("resources") or ()
    return [str(one.get("id")) for one in resources if str(one.get("type")).endswith(":BakedImage")]


def exported(root: Path, stack: str) -> dict[str, Any]:
    """Return the stack's state as the engine exports it."""
    state: dict[str, Any] = json.loads(process.output(["pulumi", "stack", "export", "--stack", stack], cwd=root))
    return state


def left(root: Path, stack: str) -> int:
    """Return the number of resources that the stack has."""
    state = exported(root, stack)
    resources = state["deployment"].get("resources") or ()
    return sum(not str(resource["type"]).startswith("pulumi:") for resource in resources)


def repair(root: Path, stack: str) -> str:
    """Let the engine drop the state's references to resources that it does not contain."""
    process.output(["pulumi", "state", "repair", "--yes", "--non-interactive", "--stack", stack], cwd=root)
    return "repaired the state, in which resources refer to others that were never made"


def clear_pending(root: Path, stack: str) -> list[str]:
    """Remove pending operations from the state. The engine imports the result, which checks it."""
    state = exported(root, stack)
    names = pending(state["deployment"])
    state["deployment"].pop("pending_operations", None)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        file.write_text(json.dumps(state), encoding="utf-8")
        process.output(["pulumi", "stack", "import", "--stack", stack, "--file", str(file)], cwd=root)
    return [f"cleared a pending operation, which will be repeated: {name}" for name in names]
