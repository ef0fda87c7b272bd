"""When a program declares its images: parents first, and no more at once than the engine works on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import pytest
from pulumi.runtime import settings as pulumi_settings

from bakery.resources import program


class Resource:
    """A resource that the engine answers for when the test says so."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.urn = SimpleNamespace(future=lambda: self.answer)


class Engine:
    """What was declared, in order; ``declare`` takes the place of a program that declares one image."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def declare(self, image: Any, parent: Any) -> Any:
        assert (parent.image.name if parent else "") == ("" if image.base.external else image.base.name)
        self.made[image.name] = SimpleNamespace(image=image, baked=Resource(), tested=Resource())
        return self.made[image.name]

    def answer(self, *names: str, error: Exception | None = None) -> None:
        for name in names:
            for resource in (self.made[name].baked, self.made[name].tested):
                if not resource.answer.done():
                    resource.answer.set_exception(error) if error else resource.answer.set_result(name)


def image(name: str, parent: str = "") -> Any:
    return SimpleNamespace(name=name, base=SimpleNamespace(name=parent or "debian-12", external=not parent))


def complete(run: Coroutine[Any, Any, None]) -> None:
    """Run on a loop of its own; ``asyncio.run`` would leave the process without one, which Pulumi's mocks look for."""
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(run)


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def one_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "AT_ONCE", 2)
    monkeypatch.setattr(pulumi_settings.SETTINGS, "parallel", 1)


def test_an_image_is_declared_when_the_engine_has_answered_for_another() -> None:
    async def run() -> None:
        engine = Engine()
        declared = asyncio.ensure_future(program.in_turn([image(name) for name in "abcd"], engine.declare))
        await turn()
        assert list(engine.made) == ["a", "b"]
        engine.made["b"].baked.answer.set_result("b")
        await turn()
        assert list(engine.made) == ["a", "b"], "its test still runs"
        engine.answer("b")
        await turn()
        assert list(engine.made) == ["a", "b", "c"]
        engine.answer("a", "c")
        await turn()
        engine.answer("d")
        assert [one.image.name for one in await declared] == list("abcd"), "in the order of the plan"

    complete(run())


def test_a_child_does_not_take_the_room_of_an_image_that_can_be_baked() -> None:
    async def run() -> None:
        engine = Engine()
        images = [image("base"), image("child", "base"), image("other"), image("last")]
        declared = asyncio.ensure_future(program.in_turn(images, engine.declare))
        await turn()
        assert list(engine.made) == ["base", "other"]
        engine.made["base"].baked.answer.set_result("base")
        engine.answer("other")
        await turn()
        assert list(engine.made) == ["base", "other", "last"], "the test of base still runs"
        engine.answer("base")
        await turn()
        assert list(engine.made) == ["base", "other", "last", "child"]
        engine.answer("last", "child")
        assert [one.image.name for one in await declared] == ["base", "child", "other", "last"]

    complete(run())


def test_a_failed_bake_keeps_no_image_from_being_declared() -> None:
    async def run() -> None:
        engine = Engine()
        declared = asyncio.ensure_future(program.in_turn([image("base"), image("child", "base")], engine.declare))
        await turn()
        engine.answer("base", error=RuntimeError("the bake failed"))
        await turn()
        assert list(engine.made) == ["base", "child"], "the engine has to know it, or would delete it"
        engine.answer("child")
        assert len(await declared) == 2

    complete(run())
