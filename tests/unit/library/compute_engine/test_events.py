"""The bakery's events: sent by what happens, in the published shape, and never in its way."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bakery.library.compute_engine import events
from bakery.library.compute_engine.events import Event, EventKind
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import parse
from tests.fake_google import compute
from tests.fake_google.cloud import Fault
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/p/global/images"
TOPIC = "pubsub/v1/projects/p/topics/bakery-events"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"
NEW, OLD = "hpcc-bbbbbbbbbbbb", "hpcc-aaaaaaaaaaaa"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        items = running.cloud.items
        items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        items[TABLE] = {"schema": {"fields": [{"name": "command_group", "type": "STRING"}]}}
        items[TOPIC] = {"name": "projects/p/topics/bakery-events"}
        for name in (OLD, NEW):
            labels = {"bakery-digest": name, "bakery-family": "hpcc"}
            compute.add_image(running.cloud, IMAGES, {"name": name, "labels": labels})
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def library(server: FakeServer) -> ComputeEngineLibrary:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    return ComputeEngineLibrary(parse({"oven": "cloud-build", "google": google}, "gcp", Path()))


def told(server: FakeServer) -> list[dict[str, Any]]:
    """The bodies of all messages, each held against the schema and its attributes."""
    events.flush()
    schema = json.loads(files("bakery.report").joinpath("schemas/event.schema.json").read_text())
    found = []
    for message in server.cloud.messages.get(TOPIC, []):
        body = json.loads(message["data"])
        jsonschema.validate(body, schema)
        assert message["attributes"] == {key: body[key] for key in ("event", "family", "image")}
        found.append(body)
    return found


def run(verdict: Verdict, reason: str = "") -> RunResult:
    job = JobResult({"command_group": "hello"}, passed=verdict is Verdict.PASSED)
    return RunResult("run-1", NEW, "t", verdict, "2026-01-01T00:00:00Z", (job,), reason=reason)


def test_a_promotion_tells_what_it_follows_and_only_once(server: FakeServer, library: ComputeEngineLibrary) -> None:
    for name in (OLD, NEW, NEW):
        library.promote(name, "hpcc")
    first, second = told(server)
    assert (first["event"], first["image"], "before" in first) == ("promoted", OLD, False)
    assert (second["image"], second["family"], second["before"]) == (NEW, "hpcc", OLD)
    assert second["digest"] == "b" * 12


def test_a_run_tells_its_verdict_and_where_its_results_are(server: FakeServer, library: ComputeEngineLibrary) -> None:
    library.record_run(run(Verdict.PASSED))
    library.record_run(run(Verdict.FAILED, "hpl is too slow"))
    passed, failed = told(server)
    assert (passed["event"], passed["verdict"], passed["run_id"]) == ("tested", "passed", "run-1")
    assert passed["log"] == f"gs://p-bakery-artifacts/results/{NEW}/run-1.json"
    assert (failed["event"], failed["stage"], failed["reason"]) == ("failed", "test", "hpl is too slow")


@pytest.mark.parametrize("code", [403, 404, 500])
def test_an_event_that_cannot_be_sent_is_told_and_fails_nothing(
    server: FakeServer, library: ComputeEngineLibrary, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    server.cloud.faults.append(Fault("topics.publish", code, times=-1))
    with caplog.at_level(logging.WARNING), pytest.MonkeyPatch.context() as patch:
        patch.setattr("bakery.library.compute_engine.events.SECONDS", 0.5)
        assert library.promote(NEW, "hpcc") == ""
        events.flush()
    assert library.families() == {"hpcc": NEW}
    assert f"the event promoted of {NEW} is lost" in caplog.text


def test_a_busy_moment_is_no_loss(server: FakeServer, library: ComputeEngineLibrary) -> None:
    server.cloud.faults.append(Fault("topics.publish", 503))
    library.promote(NEW, "hpcc")
    assert [body["event"] for body in told(server)] == ["promoted"]


def test_a_family_with_dashes_is_told_from_its_digest() -> None:
    message = Event(EventKind.BAKED, "openfoam-gcc-zen3-0123456789ab").message("2026-01-01T00:00:00.000Z")
    body = json.loads(message.data)
    assert (body["family"], body["digest"]) == ("openfoam-gcc-zen3", "0123456789ab")
    assert body["time"] == "2026-01-01T00:00:00.000Z"
