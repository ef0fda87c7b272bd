"""Clears what killed processes left, before the next ``pulumi up``: ``bakery recover``.

Only what certainly has no owner is cleared: the lock of a process of this machine that has ended, pending operations of
a stack that is not locked, and leftovers of ovens and clusters whose processes have ended. Every operation here may be
repeated; what one has done already is added to the state. A state that the engine wrote and refuses to read (`pulumi up
--exclude` of a new resource) is repaired; one that a full disk cut short is restored from its newest copy. The next
``up`` sees what the library has lost; if its disk does not seem to be mounted, that ``up`` is prevented.
"""

import json
import socket
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.errors import BakeryError, Uncertain
from bakery.host import process
from bakery.host.engine import stack_settings
from bakery.library.base import Library
from bakery.library.wants import Wants
from bakery.operations.file_backend import (
    broken,
    clear_attributes,
    clear_locks,
    file_backend,
    locks,
    operation_name,
    pending,
    restore,
    stored,
)
from bakery.preview.snapshot import expected
from bakery.settings.files import StackFiles, find

Props = dict[str, Any]


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
        yield from (*clear_attributes(state), *restore(state)) if free else ()
        if free and broken(stored(state)):
            yield repair(root, files.stack)
    chosen = backend(stack_settings(root, stack, config_file))
    if state is not None and free and pending(stored(state)):
        owner = f"{files.project}/{files.stack}"
        yield from clear_pending(root, files.stack, lambda one: finished(one, chosen.existing_library(), owner))
    if state is not None and images_of(stored(state)):
        expected(chosen.settings, chosen.existing_library)
    yield from chosen.recover()
    for lock in locks(state) if state is not None else ():
        text = f"an engine works on stack {stack} already: process {lock.pid} of {lock.host or 'a machine'}"
        raise BakeryError(text, hint="wait until it has ended; if it has certainly ended: pulumi cancel")


def withdraw(chosen: Backend, owner: str, family: str, promoted: Collection[str] = ()) -> str:
    """Withdraw that the stack ``owner`` wants the family, and say what became of it.

    An engine does that, unless a user took the resource out of the state, or removed the stack. ``promoted`` are the
    families in that state, as far as they are known. Raises BakeryError if the stack does not want the family, or
    still has its promotion, and Uncertain.
    """
    if family in promoted:
        hint = "leave out what makes it (select, channels, google.copies), and run: pulumi up"
        raise BakeryError(f"the stack {owner} has a promotion of {family} in its state", hint=hint)
    library, known = chosen.existing_library(), Wants()
    listed = known.listed(library) if library else ()
    mine = [want for want in listed if (want.stack, want.family) == (owner, family)]
    if library is None or not mine:
        raise BakeryError(f"the stack {owner} has not registered the family {family}", hint="see: bakery drift")
    (want,) = mine
    image = library.find(want.image)
    # A copy in another project has the name of an image of this one, which keeps its family.
    derived = image is not None and bool(image.channel) and image.candidate_for == family
    return known.give_back(library, want, derived=derived)


def promotions(files: StackFiles, backend_url: str) -> list[str]:
    """Return the families in the state of a stack; none if the state is not in a ``file://`` backend."""
    state = file_backend(backend_url, files)
    return images_of(stored(state), "PromotedImage") if state is not None else []


def images_of(deployment: Mapping[str, Any], kind: str = "BakedImage") -> list[str]:
    """Return the names of the images that a deployment has, or the families for the ``kind`` PromotedImage."""
    resources = deployment.get("resources") or ()
    return [str(one.get("id")) for one in resources if str(one.get("type")).endswith(f":{kind}")]


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


def clear_pending(root: Path, stack: str, made: Callable[[Props], Props | None]) -> list[str]:
    """Remove pending operations from the state; add the resources that they have ``made``, see :func:`finished`.

    The engine imports the result, which checks it.
    """
    state, lines = exported(root, stack), []
    deployment = state["deployment"]
    for operation in deployment.pop("pending_operations"):
        urns = {resource["urn"] for resource in deployment.get("resources") or ()}
        resource = None if operation["resource"]["urn"] in urns else made(operation)
        more = {"resources": [*(deployment.get("resources") or ()), resource]}
        if resource and not broken(more):
            deployment |= more
            lines.append(f"recorded what an engine that was killed had done: {operation_name(operation)}")
        else:
            lines.append(f"cleared a pending operation, which will be repeated: {operation_name(operation)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "state.json"
        file.write_text(json.dumps(state), encoding="utf-8")
        process.output(["pulumi", "stack", "import", "--stack", stack, "--file", str(file)], cwd=root)
    return lines


def finished(operation: Props, library: Library | None, owner: str) -> Props | None:
    """Return the resource that a pending operation has created in the library, as the engine would have stored it.

    If the stack (``owner``) were destroyed before the operation is repeated, it would never give back what it wants.
    """
    resource, values = operation["resource"], operation["resource"].get("inputs") or {}
    outputs: Props | None = None
    with suppress(Uncertain):
        if operation["type"] != "creating" or library is None:
            return None
        if resource["type"].endswith(":BakedImage") and library.find(str(values.get("name"))):
            outputs = {"id": values["name"], "outcome": "baked"}
        elif resource["type"].endswith(":PromotedImage"):
            mine = [want for want in library.wants() if (want.stack, want.family) == (owner, values.get("family"))]
            outputs = next(({"id": want.family, "image": want.image, "token": want.token} for want in mine), None)
    if outputs is None:
        return None
    return {**resource, "id": outputs.pop("id"), "outputs": {**values, **outputs}}
