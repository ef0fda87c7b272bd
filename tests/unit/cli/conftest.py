from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.lock import file as lock_file
from bakery.lock.model import Lock, Place
from bakery.results.app_runs import APP_RUNS
from tests.fake_google.server import FakeServer, serve
from tests.support.checkout import Checkout, make
from tests.support.plan_builders import BASE

TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A checkout that this process stands in, with a cache of its own."""
    made = make(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    return made


@pytest.fixture
def cloud(checkout: Checkout) -> Iterator[FakeServer]:
    """The checkout has a stack ``gcp``, too, whose project is the fake's."""
    with serve() as server:
        google = {"project": "p", "region": "us-central1", "endpoint": server.url}
        checkout.settings("gcp", oven="cloud-build", google=google)
        lock_file.write(checkout.root / "bakery.lock", Lock({Place.GOOGLE: {"debian-cloud/debian-12": BASE}}))
        for bucket in ("sources", "logs", "artifacts"):
            server.cloud.items[f"storage/storage/v1/b/p-bakery-{bucket}"] = {"name": f"p-bakery-{bucket}"}
        modes = {True: "REQUIRED", False: "NULLABLE"}
        fields = [{"name": one.name, "type": one.type, "mode": modes[one.required]} for one in APP_RUNS]
        server.cloud.items[TABLE] = {"schema": {"fields": fields}}
        yield server
        assert server.cloud.violations == []
