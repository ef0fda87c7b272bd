"""Bakes on spot machines, which Compute Engine may take back, on the fake Google Cloud."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import BakeFailed, InfrastructureFailed
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.plan.image_labels import MACHINE_LABEL
from bakery.progress.activity import Activity
from bakery.settings import Settings, parse
from tests.fake_google import builds
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Fault
from tests.fake_google.server import FakeServer, serve
from tests.support import bake_orders

BUILDS = "cloudbuild/v1/projects/p/builds"
AT_ONCE = "==> googlecompute: * Instance failed to start due to preemption."
STOCKOUT = "==> googlecompute: Error creating instance: ZONE_RESOURCE_POOL_EXHAUSTED"


@pytest.fixture(params=["bakery-deploy", "bakery-trigger"])
def server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.conditions.caller = request.param
        running.cloud.add_stack_storage()
        yield running
        assert running.cloud.violations == []


def settings(server: FakeServer, **google: Any) -> Settings:
    values = {"project": "p", "region": "us-central1", "endpoint": server.url, "spot": True, **google}
    return parse({"oven": "cloud-build", "google": values}, "gcp", Path("/checkout"))


def oven(server: FakeServer, **google: Any) -> CloudBuildOven:
    return CloudBuildOven(settings(server, **google), poll_seconds=0.05)


def order(**options: Any) -> BakeOrder:
    made = bake_orders.order("app")
    (builder,) = made.template["builders"]
    labels = {"bakery-digest": made.digest[:32], "bakery-family": "app", "bakery-recipe": "app"}
    return replace(made, template={**made.template, "builders": [{**builder, **options}]}, labels=labels)


def machines(server: FakeServer) -> list[dict[str, Any]]:
    """The builders of all builds, in order."""
    found = []
    for build in server.cloud.below(BUILDS):
        source = build["source"]["storageSource"]
        content = server.cloud.media[f"storage/storage/v1/b/{source['bucket']}/o/{source['object']}"]
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            template = tar.extractfile("packages/app/packer.json")
            assert template is not None
            (builder,) = json.load(template)["builders"]
        found.append(builder)
    return found


def label(server: FakeServer) -> str:
    image = ComputeEngineLibrary(settings(server)).find(order().name)
    assert image is not None
    return image.labels[MACHINE_LABEL]


def test_a_bake_on_a_spot_machine_has_no_deadline_and_says_so(server: FakeServer) -> None:
    assert oven(server).bake(order(max_run_duration_in_seconds=5), Activity()).outcome is BakeOutcome.BAKED
    (machine,) = machines(server)
    assert (machine["preemptible"], machine["on_host_maintenance"]) == (True, "TERMINATE")
    assert not {"max_run_duration_in_seconds", "instance_termination_action"} & machine.keys()
    assert label(server) == "spot"


def test_a_machine_that_is_taken_back_is_followed_by_one_standard_machine(server: FakeServer) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=0.2, preempted=True))
    said: list[str] = []
    wanted = order()
    assert oven(server).bake(wanted, Activity(said.append)).outcome is BakeOutcome.BAKED
    spot, standard = machines(server)
    assert spot["preemptible"] is True
    assert not standard.get("preemptible")
    assert standard["instance_termination_action"] == "DELETE"
    retry = f"Compute Engine took back the spot machine of {wanted.name}; baking it on a standard machine"
    assert said.count(retry) == 1
    assert label(server) == "standard"
    assert [build["status"] for build in server.cloud.below(BUILDS)] == ["FAILURE", "SUCCESS"]


def test_a_machine_that_is_taken_back_before_it_starts(server: FakeServer) -> None:
    """Only Packer says it, as the record can't be read."""
    server.cloud.faults = [Fault("compute.zoneOperations.list", 403, -1)]
    courses = iter([Course(status="FAILURE", log=(AT_ONCE,)), Course()])
    builds.script(server.cloud, lambda _build: next(courses))
    assert oven(server).bake(order(), Activity()).outcome is BakeOutcome.BAKED
    assert [bool(one.get("preemptible")) for one in machines(server)] == [True, False]


def test_where_no_zone_has_a_spot_machine_a_standard_one_bakes(server: FakeServer) -> None:
    def course(build: dict[str, Any]) -> Course:
        spot = "bakery-spot" in build["tags"]
        return Course(status="FAILURE", log=(STOCKOUT,)) if spot else Course()

    builds.script(server.cloud, course)
    zones = ["us-central1-a", "us-central1-b"]
    assert oven(server, zones=zones).bake(order(), Activity()).outcome is BakeOutcome.BAKED
    tried = [(build["substitutions"]["_ZONE"], "bakery-spot" in build["tags"]) for build in server.cloud.below(BUILDS)]
    assert tried == [("us-central1-a", True), ("us-central1-b", True), ("us-central1-a", False)]


def test_the_fault_of_a_recipe_stays_its_fault(server: FakeServer) -> None:
    builds.script(server.cloud, lambda _build: Course(status="FAILURE", log=("exit 3",), detail="step exited with 3"))
    with pytest.raises(BakeFailed):
        oven(server).bake(order(), Activity())
    assert len(server.cloud.below(BUILDS)) == 1


def test_a_standard_machine_that_fails_is_the_end(server: FakeServer) -> None:
    courses = iter([Course(preempted=True), Course(status="INTERNAL_ERROR")])
    builds.script(server.cloud, lambda _build: next(courses))
    with pytest.raises(InfrastructureFailed, match="INTERNAL_ERROR"):
        oven(server).bake(order(), Activity())
    assert len(server.cloud.below(BUILDS)) == 2


def test_who_joined_a_bake_looks_again_when_its_machine_is_taken_back(server: FakeServer) -> None:
    builds.script(server.cloud, lambda _build: Course(seconds=1.5, preempted=True))
    began = threading.Event()

    def say(phase: str) -> None:
        if phase.startswith("build "):
            began.set()

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: oven(server).bake(order(), Activity(say)).outcome)
        assert began.wait(60)
        second = pool.submit(lambda: oven(server).bake(order(), Activity()).outcome)
        outcomes = [first.result(), second.result()]
    assert BakeOutcome.BAKED in outcomes
    succeeded = [build for build in server.cloud.below(BUILDS) if build["status"] == "SUCCESS"]
    assert len(succeeded) == 1


def test_a_recipe_that_asks_for_a_preemptible_machine_gets_the_same(server: FakeServer) -> None:
    builds.script(server.cloud, lambda _build: Course(preempted=True))
    wanted = order(preemptible=True, on_host_maintenance="TERMINATE")
    assert oven(server, spot=False).bake(wanted, Activity()).outcome is BakeOutcome.BAKED
    spot, standard = machines(server)
    assert spot["preemptible"] is True
    assert not {"preemptible", "on_host_maintenance"} & standard.keys()


def test_quotas_of_spot_machines_count_where_there_are_any(server: FakeServer) -> None:
    server.cloud.conditions.quota = {"PREEMPTIBLE_CPUS": 8, "E2_CPUS": 0}
    assert oven(server).bake(order(), Activity()).outcome is BakeOutcome.BAKED
    assert label(server) == "spot"
