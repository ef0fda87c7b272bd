"""What the shells do to the process that serves them.

Pulumi serves dynamic resources from one plugin process that is made for calls of milliseconds: four threads, a Cancel
that does nothing, errors with a prefix and a traceback, and no look at whether the engine still lives. A bake takes an
hour. Each function here lifts one of these limits, says whether it could, and leaves things as they were when the SDK
has changed: then fewer bakes run at once, Ctrl-C waits, or a message is longer. All were measured with the engine
that ``tools/`` pins; ``tests/engine`` holds them to it.
"""

from __future__ import annotations

import gc
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType, FunctionType
from typing import Any, NoReturn

import grpc

WORKERS = 1024  # calls at once; how many really bake is the oven's to say (slots)
LEAVE_SECONDS = 20.0  # how long running work may take to stop after the engine is gone

cancelled = threading.Event()
_running: set[str] = set()
_lock = threading.Lock()
_prepared = threading.Event()


def prepare() -> None:
    """Lift the plugin's limits, once a process. Only ever called in the plugin (``configure``)."""
    with _lock:
        if _prepared.is_set():
            return
        _prepared.set()
    raise_worker_limit(WORKERS)
    intercept_cancel(getattr(sys.modules.get("__main__"), "DynamicResourceProviderServicer", None))
    watch_engine(0, leave)


def raise_worker_limit(workers: int) -> int:
    """Let the thread pools of this process grow to ``workers`` threads; how many pools could be told so.

    The SDK keeps its pool in a local variable of its ``main``, so it is looked for among all objects.
    """
    told = 0
    for found in gc.get_objects():
        if type(found) is ThreadPoolExecutor and isinstance(getattr(found, "_max_workers", None), int):
            found._max_workers = max(found._max_workers, workers)
            told += 1
    return told


def intercept_cancel(servicer: type | None) -> bool:
    """Make the engine's Cancel (its first Ctrl-C) reach :func:`cancel`; says whether it could.

    gRPC holds the bound method since the server began, so only the code of the function can still be changed. The new
    code runs with the SDK module's globals: it may use none of ours.
    """
    old = getattr(servicer, "Cancel", None)
    if not isinstance(old, FunctionType) or old.__code__.co_freevars or old.__code__.co_argcount != 3:
        return False
    old.__code__ = _cancel_call.__code__
    return True


def _cancel_call(_self: Any, _request: Any, _context: Any) -> Any:
    from google.protobuf import empty_pb2

    from bakery.resources import plugin  # noqa: PLW0406  runs with other globals than this module's

    plugin.cancel()
    return empty_pb2.Empty()


def cancel() -> None:
    """Tell all running work to stop."""
    cancelled.set()


@contextmanager
def working(what: str) -> Iterator[threading.Event]:
    """Count a piece of work as running; the event is set when it shall stop."""
    with _lock:
        _running.add(what)
    try:
        yield cancelled
    finally:
        with _lock:
            _running.discard(what)


def watch_engine(stdin: int, gone: Callable[[], None]) -> bool:
    """Call ``gone`` once when the engine has died; says whether it can be noticed.

    The engine holds the other end of the plugin's standard input and never writes: a hang-up means that it is gone,
    even when it was killed and the shell between it and the plugin lives on.
    """
    poll = select.poll()
    try:
        os.fstat(stdin)
        poll.register(stdin, select.POLLHUP)
    except OSError:
        return False

    def wait() -> None:
        while not any(flags & (select.POLLHUP | select.POLLERR) for _, flags in poll.poll()):
            time.sleep(1)
        gone()

    threading.Thread(target=wait, name="engine watch", daemon=True).start()
    return True


def leave(leave_process: Callable[[int], Any] = os._exit) -> None:
    """Stop all running work, then end this process: nobody is left to answer to."""
    cancel()
    deadline = time.monotonic() + LEAVE_SECONDS
    while _running and time.monotonic() < deadline:
        time.sleep(0.1)
    leave_process(1)


def abort_call(error: Exception) -> NoReturn:
    """End the call that this thread serves with the error's text alone.

    gRPC shows an exception as "Exception calling application: ..." and logs its traceback; an aborted call shows its
    details as they are. Without a call on the stack (or with another SDK) the error itself is raised, traceback short.
    """
    context = call_context(sys._getframe())
    if context is not None:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    sys.tracebacklimit = 0
    raise error


def call_context(frame: FrameType | None) -> grpc.ServicerContext | None:
    """The context of the gRPC call that ``frame`` belongs to, from the SDK's handler above it on the stack."""
    while frame is not None:
        found = frame.f_locals.get("context")
        if isinstance(found, grpc.ServicerContext):
            return found
        frame = frame.f_back
    return None
