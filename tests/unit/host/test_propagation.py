"""New grants take minutes to work: a refusal is tried again as long as one is young."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from bakery.errors import AccessRefused, InfrastructureFailed
from bakery.host import propagation
from tests.support.clock import Clock


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(propagation, "time", SimpleNamespace(time=made))
    return made


class Grant:
    """Works after some seconds."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self.clock, self.works, self.calls = clock, clock() + seconds, 0

    def __call__(self) -> str:
        self.calls += 1
        if self.clock() < self.works:
            raise AccessRefused("the account lacks a role")
        return "done"


@pytest.mark.parametrize("seconds", [0.0, 120.0, 420.0])
def test_waits_for_a_young_grant_and_says_so(tmp_path: Path, clock: Clock, seconds: float) -> None:
    file, said = tmp_path / "grants.json", []
    propagation.note(file, ["bake-objectViewer etag-1"])
    call = Grant(clock, seconds)
    assert propagation.patiently(file, clock.activity(said.append), call) == "done"
    assert clock() - call.works < propagation.LONGEST_PAUSE, "it did not wait much longer"
    assert call.calls <= 2 + seconds / 30
    assert (f"{said[-1]} " if said else "").count("lacks a role") == (1 if seconds else 0)


def test_a_role_that_is_missing_is_reported_when_all_grants_are_old(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "grants.json"
    propagation.note(file, ["one"])
    call = Grant(clock, 10**6)
    with pytest.raises(AccessRefused):
        propagation.patiently(file, clock.activity(), call)
    assert propagation.YOUNG_SECONDS <= clock.passed < propagation.YOUNG_SECONDS + propagation.LONGEST_PAUSE
    call.calls = 0
    propagation.note(file, ["one"])  # another up, without a change
    with pytest.raises(AccessRefused):
        propagation.patiently(file, clock.activity(), call)
    assert call.calls == 1, "nothing is waited for"


def test_a_grant_that_is_made_again_is_young(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "grants.json"
    propagation.note(file, ["one etag-1", "two etag-1"])
    clock.pass_(10_000)
    assert not propagation.young(file)
    propagation.note(file, ["one etag-1", "two etag-2"])
    assert propagation.young(file)


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b'{"one": "text"}'])
def test_a_damaged_file_only_means_that_nothing_is_waited_for(tmp_path: Path, clock: Clock, content: bytes) -> None:
    file = tmp_path / "grants.json"
    file.write_bytes(content)
    assert not propagation.young(file)
    propagation.note(file, ["one"])
    assert propagation.young(file)


def test_other_failures_are_not_waited_for(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "grants.json"
    propagation.note(file, ["one"])

    def call() -> None:
        raise InfrastructureFailed("no capacity")

    with pytest.raises(InfrastructureFailed):
        propagation.patiently(file, clock.activity(), call)
    assert clock.passed == 0
