"""Debug notes and stack traces are not sent, all other notes are; an interrupted program ends without a traceback."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pulumi
import pytest
from pulumi.runtime import resource, settings
from pulumi.runtime.proto import engine_pb2

from bakery.resources import sdk_noise


class Engine:
    """An engine that records messages."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def Log(self, request: Any) -> None:
        self.told.append((request.severity, request.message))


def test_only_debug_notes_are_kept_off_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(settings, "get_engine", lambda: engine)
    monkeypatch.setattr(pulumi.log, "debug", pulumi.log.debug)  # put back afterwards
    pulumi.log.debug("before")
    sdk_noise.silence_debug()
    pulumi.log.debug("after")
    pulumi.log.warn("told")
    assert engine.told == [(engine_pb2.DEBUG, "before"), (engine_pb2.WARNING, "told")]


def test_resources_are_registered_without_a_stack_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "_get_stack_trace", resource._get_stack_trace)  # put back afterwards
    sdk_noise.omit_stack_traces()
    assert list(resource._get_stack_trace().frames) == []
    assert resource._get_source_position(resource._get_stack_trace()) is None


def test_an_interrupted_program_ends_without_a_traceback() -> None:
    wait = "import time; print(1, flush=True); time.sleep(60)"
    program = f"from bakery.resources import sdk_noise; sdk_noise.end_quietly(); {wait}"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.send_signal(signal.SIGINT)
        _, said = started.communicate(timeout=30)
    assert (started.returncode, said) == (1, b"")
