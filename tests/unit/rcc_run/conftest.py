from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_google.server import FakeServer, serve
from tests.support.step import Workspace, make


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def workspace(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, which this process stands in."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BAKERY_STACK", "gcp")
    return make(tmp_path, server)
