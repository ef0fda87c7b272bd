"""A failed dependency ends its own branch; all other failures are still errors."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime import settings
from pulumi.runtime.rpc_manager import RPCManager
from pulumi.runtime.stack import ResourceRegistrationFailed

from bakery.resources import continue_on_error


@pytest.mark.parametrize(("raised", "unhandled"), [(ResourceRegistrationFailed, False), (ValueError, True)])
def test_only_a_failed_dependency_is_forgiven(
    monkeypatch: pytest.MonkeyPatch, raised: type[Exception], unhandled: bool
) -> None:
    async def register() -> None:
        raise raised("no")

    async def all_of_it() -> Any:
        manager = RPCManager()
        with monkeypatch.context() as patch:
            patch.setattr(settings, "SETTINGS", SimpleNamespace(rpc_manager=manager))
            assert continue_on_error.continue_on_error()
        await manager.do_rpc("register resource", register)()
        return manager.unhandled_exception

    loop = asyncio.new_event_loop()  # not asyncio.run, after which this thread has none: Pulumi's own tests need one
    try:
        assert (loop.run_until_complete(all_of_it()) is not None) is unhandled
    finally:
        loop.close()


def test_another_sdk_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SETTINGS", SimpleNamespace())
    assert continue_on_error.continue_on_error() is False


def test_resources_of_the_program_around_it_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def register() -> None:
        raise ResourceRegistrationFailed("no")

    async def ours() -> None:
        assert continue_on_error.continue_on_error()

    async def all_of_it() -> Any:
        manager = RPCManager()
        with monkeypatch.context() as patch:
            patch.setattr(settings, "SETTINGS", SimpleNamespace(rpc_manager=manager))
            await asyncio.ensure_future(ours())
        await manager.do_rpc("register resource", register)()
        return manager.unhandled_exception

    loop = asyncio.new_event_loop()
    try:
        assert isinstance(loop.run_until_complete(all_of_it()), ResourceRegistrationFailed)
    finally:
        loop.close()
