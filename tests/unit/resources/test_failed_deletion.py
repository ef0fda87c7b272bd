"""The program ends if a resource can't be deleted before its replacement, and only then; the engine: tests/gcp."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pulumi
import pytest
from pulumi.runtime import settings
from pulumi.runtime.rpc_manager import RPCManager

from bakery.resources import failed_deletion
from bakery.resources.failed_deletion import EXIT_CODE, Registrations


class Ended(Exception):
    """Takes the place of the end of the process."""


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user is told before the program ends."""
    said: list[str] = []

    def end(code: int) -> None:
        assert code == EXIT_CODE
        raise Ended

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(pulumi.log, "error", said.append)
    return said


def failed(operation: str) -> pulumi.ErrorHookArgs:
    return pulumi.ErrorHookArgs(
        "urn", "id", "network-subnetwork", "gcp:x", failed_operation=operation, errors=["in use"]
    )


def during(call: Callable[[Registrations], Any], rpc: str) -> Any:
    """What ``call`` returns while a request to the engine is not answered."""
    manager = RPCManager()
    registrations = Registrations(manager.do_rpc)

    async def request() -> Any:
        return call(registrations)

    async def ask() -> Any:
        result, error = await registrations.counted(rpc, request)()
        if error:
            raise error
        assert registrations.unanswered == 0
        return result

    loop = asyncio.new_event_loop()  # not asyncio.run, after which this thread has none: Pulumi's own tests need one
    try:
        return loop.run_until_complete(ask())
    finally:
        loop.close()


def test_a_deletion_that_fails_before_the_replacement_ends_the_program(told: list[str]) -> None:
    with pytest.raises(Ended):
        during(lambda registrations: registrations.failed(failed("delete")), "register resource")
    assert len(told) == 1
    assert "network-subnetwork could not be deleted, so it is not replaced" in told[0]
    assert "run `pulumi up` again" in told[0]


@pytest.mark.parametrize(
    ("operation", "rpc"), [("create", "register resource"), ("update", "register resource"), ("delete", "invoke")]
)
def test_no_other_failure_ends_it_or_is_tried_again(told: list[str], operation: str, rpc: str) -> None:
    assert during(lambda registrations: registrations.failed(failed(operation)), rpc) is False
    assert told == []


def test_an_engine_without_hooks_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = RPCManager()
    monkeypatch.setattr(settings.SETTINGS, "rpc_manager", manager)
    monkeypatch.setattr(settings, "monitor_supports_feature", lambda _feature: False)
    assert failed_deletion.end_program() is False
    assert manager.do_rpc.__func__ is RPCManager.do_rpc
