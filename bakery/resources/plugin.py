"""Changes to the plugin process that serves the dynamic resources.

Pulumi's plugin process is made for calls of milliseconds: it has four threads, ignores Cancel, adds a prefix and a
traceback to errors, and does not notice if the engine dies. A bake takes an hour. Each function here removes one of
these limits and returns whether it could. With an SDK that has changed, it changes nothing; then fewer bakes run in
parallel, Ctrl-C waits, or a message is longer. All changes were measured with the engine that ``tools/`` pins, and
``tests/engine`` tests them.
"""

import gc
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from types import FrameType, FunctionType
from typing import Any, NoReturn

import grpc

from bakery.progress.deadline import cancel_at_deadline

WORKERS = 1024  # parallel calls; the oven's slots limit the number of parallel bakes
IDLE_LOOKS, LOOK_SECONDS = 5, 0.02  # without a call, until the server stops
LEAVE_SECONDS = 20.0  # time for running work to stop after the engine is gone

cancelled = threading.Event()  # asks all running work to stop
_running: set[str] = set()
_lock = threading.Lock()


@cache
def prepare() -> None:
    """Remove the limits of the plugin, once per process. Only the plugin calls this (``configure``, which locks)."""
    stop_when_idle()
    raise_worker_limit(WORKERS)
    intercept_cancel(getattr(sys.modules.get("__main__"), "DynamicResourceProviderServicer", None))
    watch_engine(0, leave)
    cancel_at_deadline(cancelled)


def stop_when_idle() -> int:
    """Let the SDK's server, which stops at SIGINT, serve all calls to their end first; return the number of servers.

    Ctrl-C at a terminal reaches this process, too: the engine waits for the calls that run, after a Cancel for them.
    At its end it sends SIGINT once more, and waits five seconds for a plugin that ignores it.
    """
    # issubclass() of an abstract class takes ten times as long.
    servers = [one for one in gc.get_objects() if grpc.Server in type(one).__mro__ and hasattr(one, "_state")]
    for server in servers:
        server.stop = partial(_stopped_when_idle, server.stop, server._state)
    return len(servers)


def _stopped_when_idle(stop: Callable[[float | None], Any], state: Any, grace: float | None) -> Any:
    idle = 0
    while idle < IDLE_LOOKS:  # between two calls for one resource there are some milliseconds
        with suppress(KeyboardInterrupt):
            idle = 0 if getattr(state, "active_rpc_count", 0) else idle + 1
            time.sleep(LOOK_SECONDS)
    return stop(grace)


def raise_worker_limit(workers: int) -> int:
    """Let the thread pools of this process grow to ``workers`` threads; return the number of changed pools.

    The SDK keeps its pool in a local variable of its ``main``, so this function searches all objects for it.
    """
    changed = 0
    for pool in gc.get_objects():
        if type(pool) is ThreadPoolExecutor and isinstance(getattr(pool, "_max_workers", None), int):
            pool._max_workers = max(pool._max_workers, workers)
            changed += 1
    return changed


def intercept_cancel(servicer: type | None) -> bool:
    """Make the engine's Cancel (the first Ctrl-C) set :data:`cancelled`; return whether this SDK supports it.

    gRPC has held the bound method since the server started, so only the code of the function can be changed. The new
    code runs with the globals of the SDK's module and cannot use those of this one.
    """
    old = getattr(servicer, "Cancel", None)
    if not isinstance(old, FunctionType) or old.__code__.co_freevars or old.__code__.co_argcount != 3:
        return False
    old.__code__ = _cancel_call.__code__
    return True


def _cancel_call(_self: Any, _request: Any, _context: Any) -> Any:
    from google.protobuf import empty_pb2

    from bakery.resources import plugin  # noqa: PLW0406  runs with other globals than this module's

    plugin.cancelled.set()
    return empty_pb2.Empty()


@contextmanager
def working(what: str) -> Iterator[threading.Event]:
    """Register work as running during the block; the returned event is set if the work has to stop."""
    with _lock:
        _running.add(what)
    try:
        yield cancelled
    finally:
        with _lock:
            _running.discard(what)


def watch_engine(stdin: int, gone: Callable[[], None]) -> bool:
    """Call ``gone`` once after the engine has died; return whether its death can be noticed.

    The engine holds the other end of the plugin's standard input and never writes to it. A hang-up means that the
    engine is gone, even if it was killed and the shell between it and the plugin is still running.
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
    """Stop all running work, then end this process, whose engine is gone."""
    cancelled.set()
    deadline = time.monotonic() + LEAVE_SECONDS
    while _running and time.monotonic() < deadline:
        time.sleep(0.1)
    leave_process(1)


def abort_call(error: Exception) -> NoReturn:
    """End the gRPC call that this thread serves with only the error's text.

    gRPC reports an exception as "Exception calling application: ..." and logs its traceback, but passes on the details
    of an aborted call unchanged. Without a call on the stack (or with another SDK) the error is raised, with a short
    traceback.
    """
    context = call_context(sys._getframe())
    if context is not None:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    sys.tracebacklimit = 0
    raise error


def call_context(frame: FrameType | None) -> grpc.ServicerContext | None:
    """Return the context of the gRPC call that ``frame`` belongs to, from the SDK's handler further up the stack."""
    while frame is not None:
        context = frame.f_locals.get("context")
        if isinstance(context, grpc.ServicerContext):
            return context
        frame = frame.f_back
    return None
