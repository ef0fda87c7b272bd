"""The live status of a resource on its line of ``pulumi up``: the phase and the elapsed time."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from bakery.errors import Interrupted
from bakery.host.proc import read_stat
from bakery.progress.activity import Activity
from bakery.progress.status_line import QUIET_SECONDS, TICK_SECONDS, Line
from bakery.resources import plugin

SEND_TIMEOUT = 5.0


class Engine:
    """The engine's log, at the address that the plugin was started with. Messages that can't be sent are dropped."""

    def __init__(self, address: str) -> None:
        self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(address))

    def status(self, urn: str, text: str) -> None:
        """Show ``text`` on the line of ``urn`` until the next message."""
        self._log(engine_pb2.INFO, urn, text, ephemeral=True)

    def warn(self, urn: str, text: str) -> None:
        """Show a permanent warning in the section "Diagnostics"."""
        self._log(engine_pb2.WARNING, urn, text, ephemeral=False)

    def info(self, urn: str, text: str) -> None:
        """Show a permanent message in the section "Diagnostics"."""
        self._log(engine_pb2.INFO, urn, text, ephemeral=False)

    def _log(self, severity: engine_pb2.LogSeverity.ValueType, urn: str, text: str, ephemeral: bool) -> None:
        request = engine_pb2.LogRequest(severity=severity, urn=urn, message=text, ephemeral=ephemeral)
        try:
            self._stub.Log(request, timeout=SEND_TIMEOUT)
        except (grpc.RpcError, ValueError):
            return  # an engine that is busy or gone must not end a bake


@cache
def engine() -> Engine:
    """Return the engine that started this plugin."""
    return Engine(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:9")


def watched(proc: Path = Path("/proc")) -> bool:
    """Return whether the engine writes to a terminal; True if unknown, which only sends more messages."""
    pid = os.getppid()
    try:
        for _ in range(8):
            process = read_stat(proc / str(pid))
            if process.program == "pulumi":
                output = str((proc / str(pid) / "fd" / "1").readlink())
                return output.startswith(("/dev/pts/", "/dev/tty", "/dev/console"))
            pid = process.parent
    except OSError:
        return True
    return True


@contextmanager
def activity(urn: str, what: str) -> Iterator[Activity]:
    """Yield the activity of a resource's long work: phases are shown on its line, and Ctrl-C cancels it."""
    line = Line(lambda text: engine().status(urn, text), again=TICK_SECONDS if watched() else QUIET_SECONDS)
    try:
        with line, plugin.working(what) as cancelled:
            yield Activity(line.say, cancelled)
    except Interrupted as error:
        raise Interrupted(f"{what}: {error.message}", log=error.log) from error
