"""The machines that a run may use: nothing begins beyond the limits, and what has begun goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed, LimitReached
from bakery.host.budget import Budget, budget_of
from bakery.settings import LimitSettings, parse
from tests.support.clock import Clock


def begin(made: Budget, what: str, machines: int = 1) -> None:
    with made.used(what, machines):
        pass


def test_the_seconds_of_all_machines_are_added_up() -> None:
    clock = Clock()
    made = Budget(LimitSettings(machine_seconds=100), clock)
    with made.used("the test of a", 4):
        clock.pass_(20)
        with made.used("the bake of b"):
            clock.pass_(5)
        with pytest.raises(LimitReached) as told:
            begin(made, "the bake of c")
    assert told.value.message == (
        "the bake of c was not begun: 105 of 100 seconds of machines are used (limits.machineSeconds)"
    )
    assert told.value.hint == "the next run continues from here"
    assert not isinstance(told.value, InfrastructureFailed), "trying again does not help"


def test_machines_count_when_they_are_asked_for_and_when_they_are_gone() -> None:
    made = Budget(LimitSettings(machines=5))
    with made.used("the test of a", 3), made.used("the bake of b"):
        pass
    with pytest.raises(LimitReached, match=r"it needs 2 of 5 machines, of which 4 were used \(limits\.ma"):
        begin(made, "the test of c", 2)
    with made.used("the bake of d"):
        pass
    with pytest.raises(LimitReached):
        begin(made, "the bake of e")


def test_what_has_begun_may_use_more() -> None:
    """A second try, or the cluster of an upgrade."""
    clock = Clock()
    made = Budget(LimitSettings(10, 2), clock)
    for _ in range(3):
        with made.used("the test of a", 2):
            clock.pass_(20)
    with pytest.raises(LimitReached, match="it needs 1 of 2 machines, of which 6 were used"):
        begin(made, "the bake of b")


def test_without_limits_everything_begins() -> None:
    clock = Clock()
    made = Budget(LimitSettings(), clock)
    for number in range(50):
        with made.used(f"the bake of {number}", 100):
            clock.pass_(10_000)
    assert clock.passed == 500_000


def test_all_work_of_a_stack_has_one_budget() -> None:
    settings = parse({"limits": {"machines": 3}}, "dev", Path("/checkout"))
    assert budget_of(settings) is budget_of(replace(settings, stack=""))
    assert budget_of(settings) is not budget_of(replace(settings, state=Path("/elsewhere")))
    assert budget_of(settings).limits == LimitSettings(0, 3)
