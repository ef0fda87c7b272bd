"""Debug notes of the SDK are not sent, all others are."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2

from bakery.resources import chatter


class Engine:
    """An engine that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str]] = []

    def Log(self, request: Any) -> None:
        self.told.append((request.severity, request.message))


def test_only_debug_notes_are_kept_off_the_wire(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    monkeypatch.setattr(settings, "get_engine", lambda: engine)
    monkeypatch.setattr(pulumi.log, "debug", pulumi.log.debug)  # put back afterwards
    pulumi.log.debug("before")
    chatter.hush()
    pulumi.log.debug("after")
    pulumi.log.warn("told")
    assert engine.told == [(engine_pb2.DEBUG, "before"), (engine_pb2.WARNING, "told")]
