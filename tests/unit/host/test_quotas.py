"""Work that waits until there is quota for it; the cloud and the clock are of the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from google.api_core import exceptions

from bakery.errors import BakeryError, InfrastructureFailed, Uncertain
from bakery.host import quotas
from bakery.host.google import Google
from bakery.host.quotas import QuotaUse
from bakery.progress.activity import Activity
from tests.support.clock import Clock

ZONE = "us-central1-a"


@dataclass
class Cloud:
    """The quotas of a region; ``usage`` by metric, of all."""

    limits: dict[str, float]
    usage: dict[str, float] = field(default_factory=dict)
    answers: bool = True
    asked: int = 0

    def read_compute(self, path: str, **_query: str) -> Mapping[str, Any]:
        self.asked += 1
        if not self.answers:
            raise exceptions.Forbidden("no")  # type: ignore[no-untyped-call]
        if not path:
            return {}
        found = [
            {"metric": name, "limit": limit, "usage": self.usage.get(name, 0.0)} for name, limit in self.limits.items()
        ]
        return {"quotas": found}


def use(cloud: Cloud, clock: Clock) -> QuotaUse:
    return QuotaUse(cast(Google, cloud), clock)


def needing(**needs: int) -> Callable[[object], Mapping[str, int]]:
    return lambda _granted: needs


def begin(made: QuotaUse, count: Callable[[object], Mapping[str, int]], what: str, activity: Activity) -> None:
    with made.held(ZONE, count, what, activity):
        pass


def test_what_fits_is_not_held_up_and_one_reading_serves_several() -> None:
    cloud, clock = Cloud({"CPUS": 24.0}, {"CPUS": 8.0}), Clock()
    made, said = use(cloud, clock), list[str]()
    with made.held(ZONE, needing(CPUS=8), "a", clock.activity(said.append)):
        begin(made, needing(CPUS=8, C9_CPUS=400), "b", clock.activity(said.append))
    assert said == []
    assert cloud.asked == 2, "the project and the region"


def test_what_can_never_fit_is_refused_at_once_and_by_name() -> None:
    clock = Clock()
    made = use(Cloud({"CPUS": 24.0, "C2_CPUS": 8.0}), clock)
    with pytest.raises(BakeryError, match=r"^the bake of x needs 60 C2_CPUS of at most 8 in us-central1\n") as told:
        begin(made, needing(CPUS=4, C2_CPUS=60), "the bake of x", clock.activity())
    assert not isinstance(told.value, InfrastructureFailed), "trying again does not help"
    assert clock.passed == 0


def test_it_waits_for_what_the_process_itself_uses() -> None:
    """Whether Google counts it already or not."""
    cloud, clock = Cloud({"CPUS": 24.0}, {"CPUS": 4.0}), Clock()
    made, said = use(cloud, clock), list[str]()
    first = made.held(ZONE, needing(CPUS=16), "a", clock.activity())
    first.__enter__()

    def end(phase: str) -> None:
        said.append(phase)
        if len(said) == 3:
            cloud.usage["CPUS"] = 20.0  # the machine runs
        if clock.passed > 2 * quotas.PATIENCE_SECONDS:
            first.__exit__(None, None, None)
            cloud.usage["CPUS"] = 4.0

    with made.held(ZONE, needing(CPUS=16), "b", clock.activity(end)):
        assert set(said) == {"waiting for quota: 16 CPUS, of which 4 of 24 are free"}
        assert clock.passed > 2 * quotas.PATIENCE_SECONDS, "as long as its own work needs"


def test_a_machine_that_runs_is_not_counted_twice() -> None:
    cloud, clock = Cloud({"CPUS": 24.0}, {"CPUS": 4.0}), Clock()
    made = use(cloud, clock)
    with made.held(ZONE, needing(CPUS=10), "a", clock.activity()):
        cloud.usage["CPUS"] = 14.0
        clock.pass_(quotas.READ_SECONDS)
        with made.held(ZONE, needing(CPUS=10), "b", clock.activity()):
            assert clock.passed == quotas.READ_SECONDS


def test_it_does_not_wait_for_others_for_ever() -> None:
    cloud, clock = Cloud({"CPUS": 24.0}, {"CPUS": 20.0}), Clock()
    with pytest.raises(InfrastructureFailed, match="x needs 8 CPUS, of which 4 of 24 are free in us-central1"):
        begin(use(cloud, clock), needing(CPUS=8), "x", clock.activity())
    assert quotas.PATIENCE_SECONDS <= clock.passed < 2 * quotas.PATIENCE_SECONDS


def test_machines_that_are_still_being_deleted_are_waited_for() -> None:
    cloud, clock = Cloud({"CPUS": 24.0}, {"CPUS": 20.0}), Clock()

    def free(_phase: str) -> None:
        if clock.passed > 60:
            cloud.usage["CPUS"] = 0.0

    with use(cloud, clock).held(ZONE, needing(CPUS=8), "x", clock.activity(free)):
        assert 60 < clock.passed < 60 + 2 * quotas.READ_SECONDS


def test_without_an_answer_google_decides() -> None:
    cloud, clock = Cloud({"CPUS": 1.0}, answers=False), Clock()
    with use(cloud, clock).held(ZONE, needing(CPUS=8), "x", clock.activity()):
        assert clock.passed == 0
    with pytest.raises(Uncertain):
        quotas.read(cast(Google, cloud), "us-central1")
