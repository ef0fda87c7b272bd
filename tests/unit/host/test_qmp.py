"""The control socket of a machine: answers, refusals, and a machine that ends; the machine is a Python program."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, Interrupted
from bakery.host import process, qmp
from bakery.progress.activity import Activity

# Answers as QEMU does: a greeting, an event before each answer, and "refused" for what it does not know.
MACHINE = """
import json, pathlib, socket, sys
states = iter({states!r})
with socket.socket(socket.AF_UNIX) as server:
    server.bind("m.qmp")
    server.listen()
    stream = server.accept()[0].makefile("rwb")
    def send(value):
        stream.write(json.dumps(value).encode() + b"\\r\\n")
        stream.flush()
    send({{"QMP": {{}}}})
    for line in stream:
        asked = json.loads(line)
        send({{"event": "STOP"}})
        name = asked["execute"]
        if name == "end":
            sys.exit("out of memory")
        if name == "migrate":
            pathlib.Path("state").touch()
        known = {{"qmp_capabilities": {{}}, "stop": {{}}, "migrate": {{}}, "migrate-incoming": asked["arguments"]}}
        if name == "query-migrate":
            send({{"return": {{"status": next(states)}}}})
        elif name in known or name.startswith("migrate-"):
            send({{"return": known.get(name, {{}})}})
        else:
            send({{"error": {{"class": "CommandNotFound", "desc": "refused"}}}})
"""


@contextmanager
def machine(folder: Path, *states: str) -> Iterator[qmp.Monitor]:
    """A machine in a folder whose path is too long for the address of a socket."""
    place = folder / ("x" * 100)
    place.mkdir()
    running = process.Running([sys.executable, "-c", MACHINE.format(states=states)], cwd=place)
    try:
        with qmp.connected(place, "m.qmp", running) as monitor:
            yield monitor
    finally:
        running.stop()


def test_answers_are_returned_and_refusals_raised(tmp_path: Path) -> None:
    with machine(tmp_path) as monitor:
        assert monitor.ask("migrate-incoming", uri="exec:cat x") == {"uri": "exec:cat x"}
        with pytest.raises(InfrastructureFailed, match="QEMU refused fly: refused"):
            monitor.ask("fly")
        assert monitor.ask("stop") == {}


def test_a_state_is_saved_when_its_file_is_complete(tmp_path: Path) -> None:
    with machine(tmp_path, "setup", "active", "completed", "failed") as monitor:
        monitor.save("state", tmp_path / ("x" * 100), Activity())
        with pytest.raises(InfrastructureFailed, match=r"could not be transferred \(failed\)"):
            monitor.load(tmp_path / "of a run", Activity())


def test_a_machine_that_ends_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with machine(tmp_path) as monitor, pytest.raises(InfrastructureFailed, match="QEMU gave no answer: "):
        monitor.ask("end")


def test_a_machine_that_does_not_start_is_an_error_at_once(tmp_path: Path) -> None:
    running = process.Running(["sh", "-c", "echo no such processor; exit 1"])
    running.wait()
    with pytest.raises(InfrastructureFailed, match="no such processor"), qmp.connected(tmp_path, "m.qmp", running):
        pass


def test_a_cancelled_activity_ends_the_wait(tmp_path: Path) -> None:
    activity = Activity()
    activity.cancelled.set()
    with machine(tmp_path, "active") as monitor, pytest.raises(Interrupted):
        monitor.load(tmp_path / "state", activity)
