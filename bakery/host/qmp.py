"""The control socket of a QEMU machine: pause it, save its memory and devices to a file, continue from such a file.

The protocol is QMP: one JSON object a line, see QEMU's docs/interop/qmp-spec.rst. What is saved is a migration stream,
as between two computers.
"""

import contextlib
import json
import os
import shlex
import socket
import time
from collections.abc import Iterator
from io import BufferedRWPair
from pathlib import Path
from typing import Any

from bakery.errors import InfrastructureFailed
from bakery.host.process import Running
from bakery.progress.activity import Activity

ANSWER_SECONDS = 60.0  # for one command, on a very busy computer
STEP_SECONDS = 0.02
UNLIMITED = 1 << 50  # bytes a second; the default is that of a network


def option(name: str) -> list[str]:
    """Return QEMU's options that make the socket ``name`` in its working directory."""
    return ["-qmp", f"unix:{name},server=on,wait=off"]


@contextlib.contextmanager
def connected(folder: Path, name: str, machine: Running) -> Iterator["Monitor"]:
    """Yield a connection to the socket ``name`` in ``folder`` as soon as the machine has made it.

    Raises InfrastructureFailed if the machine ends or takes too long.
    """
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)  # the path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            deadline = time.monotonic() + ANSWER_SECONDS
            while True:
                try:
                    connection.connect(f"/proc/self/fd/{place}/{name}")
                    break
                except OSError as error:
                    if machine.poll() is not None or time.monotonic() > deadline:
                        raise _ended(machine) from error
                    time.sleep(STEP_SECONDS)
            with connection.makefile("rwb") as stream:
                yield Monitor(stream, machine)
    except OSError as error:
        raise InfrastructureFailed(f"the machine does not answer: {error}") from error
    finally:
        os.close(place)


class Monitor:
    """A connection to a machine. Every method raises InfrastructureFailed if the machine refuses or has ended."""

    def __init__(self, stream: BufferedRWPair, machine: Running) -> None:
        self._stream = stream
        self._machine = machine
        stream.readline()  # the greeting
        self.ask("qmp_capabilities")

    def ask(self, command: str, **arguments: Any) -> Any:
        """Return the answer to a command; events in between are dropped."""
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        self._stream.flush()
        while line := self._stream.readline():
            answer = json.loads(line)
            if "return" in answer:
                return answer["return"]
            if "error" in answer:
                raise InfrastructureFailed(f"QEMU refused {command}: {answer['error'].get('desc', '')}")
        raise _ended(self._machine)

    def save(self, name: str, folder: Path, activity: Activity) -> None:
        """Pause the machine and save memory and devices to the file ``name`` in its working directory ``folder``."""
        self.ask("stop")
        self.ask("migrate-set-parameters", **{"max-bandwidth": UNLIMITED})
        self.ask("migrate", uri=f"exec:cat >{name}.part && mv {name}.part {name}")
        self._wait_for_migration(activity)
        deadline = time.monotonic() + ANSWER_SECONDS
        while not (folder / name).exists():  # what the machine wrote last is still in the pipe
            if time.monotonic() > deadline:
                raise InfrastructureFailed("the state of the machine could not be written completely")
            activity.sleep(STEP_SECONDS)

    def load(self, file: Path, activity: Activity) -> None:
        """Load what :meth:`save` wrote into a machine that was started with ``-incoming defer -S``."""
        self.ask("migrate-incoming", uri=f"exec:cat {shlex.quote(str(file))}")
        self._wait_for_migration(activity)

    def _wait_for_migration(self, activity: Activity) -> None:
        while (status := self.ask("query-migrate").get("status", "")) != "completed":
            if status in ("failed", "cancelled"):
                raise InfrastructureFailed(f"the state of the machine could not be transferred ({status})")
            activity.sleep(STEP_SECONDS)


def _ended(machine: Running) -> InfrastructureFailed:
    last = next((line for line in reversed(machine.lines) if line.strip()), "it said nothing")
    return InfrastructureFailed(f"QEMU gave no answer: {last}")
