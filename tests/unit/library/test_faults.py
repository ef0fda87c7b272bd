"""Every fault of every method that the library calls: transient faults are retried, all others raise errors of the
bakery. Only a 404 means that something does not exist."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import BakeryError, Uncertain
from bakery.host.google import RETRY, STORAGE_RETRY, Google
from bakery.infrastructure.grants import COPIER_ROLE
from bakery.library.base import ImageRecord, ImageState, Proof, Want
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import parse
from tests.fake_google import compute
from tests.fake_google.cloud import Cloud, Fault
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/p/global/images"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"
RUN = RunResult(
    "run-1", "hpcc-0", "t", Verdict.PASSED, "2026-01-01T00:00:00Z", (JobResult({"command_group": "h"}, passed=True),)
)
SPARE = ImageRecord("hpcc-2", "d2", "hpcc", "", "hpcc", "", state=ImageState.DEPRECATED)
CALLS: dict[str, Callable[[ComputeEngineLibrary], object]] = {
    "find": lambda library: library.find("hpcc-0"),
    "images": lambda library: library.images(),
    "families": lambda library: library.families(),
    "promote": lambda library: library.promote("hpcc-1", "hpcc"),
    "release": lambda library: library.unpromote("hpcc-0", "hpcc"),
    "want": lambda library: library.want(Want("p/dev", "hpcc", "hpcc-0", "t")),
    "wants": lambda library: library.wants(),
    "drop want": lambda library: library.drop_want("p/dev", "x", "t"),
    "deprecate": lambda library: library.deprecate("hpcc-1"),
    "prove": lambda library: library.record_test("hpcc-2", Proof.PASSED, "t"),
    "manifest": lambda library: library.manifest("hpcc-0"),
    "keep manifest": lambda library: library.keep_manifest("hpcc-2", {}),
    "record run": lambda library: library.record_run(RUN),
    "runs": lambda library: library.runs("hpcc-0"),
    "listing": lambda library: library.listing().deprecated,
    "in use": lambda library: library.in_use(),
    "retire": lambda library: library.set_state(SPARE, ImageState.OBSOLETE),
    "delete": lambda library: library.set_state(SPARE, ImageState.DELETED),
    "share": lambda library: library.share("hpcc-0", ["group:a@example.com"]),
    "copy": lambda library: library.promote("hpcc-0", "hpcc@there"),
    "look at copies": lambda library: [one.look() for one in library.copies(())],
}
REFUSALS = [Fault("", code, times=-1) for code in (400, 401, 403, 404, 409, 412)]
PASSING = [Fault("", code) for code in (429, 500, 503)] + [Fault("", half=True), Fault("", delay=0.1)]
# The client of Cloud Storage asks for buckets by itself, and continues whatever the answer is.
UNASKED = {"storage.buckets.get"}
# An image that another process makes at the same time ends the operation so; the image itself is looked at then.
MADE_BY_ANOTHER = ("copy", "compute.globalOperations.get", 409)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeServer]:
    with serve() as running:
        yield running


@pytest.fixture(scope="module")
def google(server: FakeServer) -> Google:
    """Clients for all tests: making them takes longer than what they are asked."""
    google = {"project": "p", "region": "us-central1", "endpoint": server.url, "copies": {"there": {}}}
    return Google(parse({"oven": "cloud-build", "google": google}, "gcp", Path()).google)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    for policy in (RETRY, STORAGE_RETRY):
        monkeypatch.setattr(policy, "_initial", 0.01)
        monkeypatch.setattr(policy, "_maximum", 0.05)


def library_of(server: FakeServer, google: Google) -> ComputeEngineLibrary:
    values = {"project": "p", "region": "us-central1", "endpoint": server.url, "copies": {"there": {}}}
    return ComputeEngineLibrary(parse({"oven": "cloud-build", "google": values}, "gcp", Path()), google)


@cache
def state(server: FakeServer, google: Google) -> dict[str, Any]:
    """Return the state of a project with three images, one of them promoted, and what else the library needs."""
    server.cloud = Cloud()
    server.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
    items = server.cloud.items
    items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
    items[TABLE] = {"schema": {"fields": [{"name": "command_group", "type": "STRING"}]}}
    items["pubsub/v1/projects/p/topics/bakery-events"] = {"name": "projects/p/topics/bakery-events"}
    labels = {"bakery-family": "hpcc", "bakery-recipe": "hpcc", "bakery-proof": "passed"}
    for number in range(3):
        image = {"name": f"hpcc-{number}", "labels": {**labels, "bakery-digest": f"d{number}"}}
        compute.add_image(server.cloud, IMAGES, image)
    library = library_of(server, google)
    library.promote("hpcc-0", "hpcc")
    library.deprecate("hpcc-2")
    for number in (0, 2):
        library.keep_manifest(f"hpcc-{number}", {"install.sh": "x"})
    library.want(Want("p/dev", "x", "x-0", "t"))
    return {name: vars(server.cloud)[name] for name in ("items", "policies", "media", "rows", "messages", "numbers")}


def fill(server: FakeServer, google: Google) -> ComputeEngineLibrary:
    """Return the library of a new project in that state."""
    kept = copy.deepcopy(state(server, google))
    server.cloud = Cloud()
    server.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
    vars(server.cloud).update(kept)
    return library_of(server, google)


Outcome = tuple[str, Fault, Exception | None]


def outcomes(server: FakeServer, google: Google, name: str, faults: list[Fault]) -> Iterator[Outcome]:
    """What comes of a call when one of the methods it uses goes wrong: each method with each fault."""
    library = fill(server, google)
    before = len(server.cloud.calls)
    CALLS[name](library)
    methods = {method for _, method, _ in server.cloud.calls[before:]} - UNASKED
    for method in sorted(methods):
        for fault in faults:
            library = fill(server, google)
            server.cloud.faults.append(replace(fault, method=re.escape(method) + "$"))
            error: Exception | None = None
            try:
                CALLS[name](library)
            except Exception as caught:
                error = caught
            yield method, fault, error


@pytest.mark.parametrize("name", CALLS)
def test_a_refusal_is_told_in_the_bakerys_words(server: FakeServer, google: Google, name: str) -> None:
    wrong = []
    for method, fault, error in outcomes(server, google, name, REFUSALS):
        forgiven = method.endswith("topics.publish") or (error is None and fault.code == 404)
        forgiven = forgiven or (name, method, fault.code) == MADE_BY_ANOTHER
        if not forgiven and not isinstance(error, BakeryError):
            wrong.append(f"{method} {fault.code}: {error!r}")
        if not forgiven and fault.code in (401, 403) and not isinstance(error, Uncertain):
            wrong.append(f"{method} {fault.code} is taken for certain: {error!r}")
    assert wrong == []


# The client leaves the socket of a half answer to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", CALLS)
def test_a_passing_fault_is_tried_again(server: FakeServer, google: Google, name: str) -> None:
    found = outcomes(server, google, name, PASSING)
    assert [f"{method} {fault}: {error!r}" for method, fault, error in found if error is not None] == []
