"""A custom role that was deleted: seven days to undelete it, then thirty more without its name."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_google.roles import DAY
from tests.fake_google.server import FakeServer, serve
from tests.support.clock import Clock

ROLES = "iam/v1/projects/p/roles"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def server(clock: Clock) -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.clock = clock
        assert call(running, "POST", ROLES, {"roleId": "bakeryBaker", "role": {"title": "t"}})[0] == 200
        assert call(running, "DELETE", f"{ROLES}/bakeryBaker")[0] == 200
        yield running


def call(server: FakeServer, verb: str, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and answer."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{server.url}/{path}", data, method=verb)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(("days", "found", "created"), [(1, 200, 400), (8, 404, 400), (36, 404, 400), (38, 404, 200)])
def test_what_a_deleted_role_still_allows(
    server: FakeServer, clock: Clock, days: int, found: int, created: int
) -> None:
    clock.pass_(days * DAY)
    assert call(server, "GET", f"{ROLES}/bakeryBaker")[0] == found
    assert call(server, "POST", ROLES, {"roleId": "bakeryBaker", "role": {}})[0] == created
    assert call(server, "POST", ROLES, {"roleId": "bakeryBaker2", "role": {}})[0] == 200, "google.roleSuffix"
    if created != 200:
        assert call(server, "POST", f"{ROLES}/bakeryBaker:undelete", {})[0] == found


def test_a_role_that_was_undeleted_works(server: FakeServer) -> None:
    assert call(server, "GET", f"{ROLES}/bakeryBaker")[1]["deleted"] is True
    assert "deleted" not in call(server, "POST", f"{ROLES}/bakeryBaker:undelete", {})[1]
    assert "deleted" not in call(server, "GET", f"{ROLES}/bakeryBaker")[1]
    assert call(server, "POST", f"{ROLES}/bakeryBaker:undelete", {})[0] == 400
