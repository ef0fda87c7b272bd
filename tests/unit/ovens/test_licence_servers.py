"""Licence servers, asked from this computer before a bake."""

from __future__ import annotations

import socket

import pytest

from bakery.errors import InfrastructureFailed
from bakery.ovens import licence_servers
from bakery.progress.activity import Activity

PLACE = "packages/app/recipe.yaml:3"


def test_all_that_do_not_answer_are_named_at_once_with_their_places() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        port, closed = server.getsockname()[1], other.getsockname()[1]
        other.close()
        up, down = f"{port}@127.0.0.1", f"{closed}@127.0.0.1"
        phases: list[str] = []
        licence_servers.check({up: PLACE, f"{up},{down},{up}": PLACE}, Activity(phases.append))
        assert phases == ["asking the licence servers"]
        wrong = {down: PLACE, up: PLACE, "27000@none.such.invalid": "r.yaml:5", f"{up},{down},{down}": PLACE}
        with pytest.raises(InfrastructureFailed) as failed:
            licence_servers.check(wrong, Activity())
    first, second, third = failed.value.message.splitlines()
    at, hint = (
        "packages/app/recipe.yaml:3: error: the licence server",
        "does not answer (Connection refused); start it,",
    )
    assert first.startswith(f"{at} {down} {hint}")
    assert second.startswith("r.yaml:5: error: the licence server 27000@none.such.invalid does not answer (")
    assert third.startswith(f"{at} {up},{down},{down} {hint}")


def test_one_that_takes_no_connection_is_waited_for_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(address: tuple[str, int], seconds: int) -> None:
        raise TimeoutError(f"{address} {seconds}")

    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(InfrastructureFailed, match=r"1@a does not answer \(no answer within 10 s\); start it"):
        licence_servers.check({"1@a": PLACE}, Activity())


def test_a_bake_without_them_asks_nothing() -> None:
    phases: list[str] = []
    licence_servers.check({}, Activity(phases.append))
    assert phases == []
