"""The first day of a project, as docs/google.md walks through it: services and grants work only later, policies are on.

The clock is a fake one: a service works 60 s after it was enabled, a grant 120 s after it was made. Nothing has to be
run twice.
"""

from __future__ import annotations

import json
import re
import shlex
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from google.api_core.retry import retry_unary

from bakery.backends.google import policies
from bakery.errors import InfrastructureFailed
from bakery.fluid_run import runner
from bakery.fluid_run.clusters import instance
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host import propagation
from bakery.host.google import Google
from bakery.infrastructure.bakery import SERVICES
from bakery.infrastructure.grants import GRANTS
from bakery.infrastructure.results import table_schema
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.lock.resolve import ComputeEngineFamilies
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.paths import StatePaths
from bakery.results.model import Verdict
from bakery.settings import Settings, parse
from tests.fake_google import agents, compute, grants
from tests.fake_google.refusals import keys
from tests.fake_google.server import FakeServer, serve
from tests.support import bake_orders, clusters
from tests.support.clock import Clock
from tests.support.root import ROOT
from tests.unit.infrastructure.test_security import PLAN

SERVICE_SECONDS, GRANT_SECONDS = 60.0, 120.0
PAGE = (ROOT / "docs" / "google.md").read_text(encoding="utf-8")
POLICIES = (
    "compute.requireShieldedVm",
    "compute.requireOsLogin",
    "compute.vmExternalIpAccess",
    "gcp.resourceLocations",
    "compute.trustedImageProjects",
    "iam.disableServiceAccountKeyCreation",
    "compute.skipDefaultNetworkCreation",
)
IMAGES = "compute/compute/v1/projects/debian-cloud/global/images"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(propagation, "time", SimpleNamespace(time=made))
    monkeypatch.setattr(retry_unary, "time", SimpleNamespace(monotonic=made, sleep=made.pass_))
    return made


@pytest.fixture
def server(clock: Clock) -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.clock = clock
        running.cloud.conditions.caller = ""  # the project's owner
        running.cloud.conditions.service_seconds = SERVICE_SECONDS
        running.cloud.conditions.grant_seconds = GRANT_SECONDS
        running.cloud.conditions.locations = {"us-central1"}
        running.cloud.conditions.trusted = {"debian-cloud"}
        compute.add_image(running.cloud, IMAGES, {"name": "debian-12-v1", "family": "debian-12"})
        yield running
        assert running.cloud.violations == []


def enabled_by_the_page() -> set[str]:
    """The services that step 1 of the page enables."""
    block = re.search(r"(?ms)^gcloud services enable (.*?)^gcloud", PAGE)
    assert block is not None
    return set(shlex.split(block[1].replace("\\\n", " ")))


def stack(server: FakeServer, folder: Path, **more: str) -> Settings:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url, **more}
    return replace(parse({"oven": "cloud-build", "google": google}, "gcp", folder), state=folder / "state")


def shielded(order: BakeOrder) -> BakeOrder:
    """The order with the options of our own templates."""
    (builder,) = order.template["builders"]
    return replace(order, template={**order.template, "builders": [{**builder, "enable_secure_boot": True}]})


def infrastructure(server: FakeServer, given: Settings) -> None:
    """What the engine makes of the declared infrastructure before the first bake."""
    items = server.cloud.items
    server.cloud.add_stack_storage()
    table = {"schema": {"fields": json.loads(table_schema())}}
    items["bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"] = table
    for one in GRANTS:
        grants.grant(server.cloud, f"serviceAccount:bakery-{one.duty}@p.iam.gserviceaccount.com", one.role)
    propagation.note(StatePaths(given.state).grants, [f"{one.duty} {one.role} {one.target}" for one in GRANTS])


def test_step_1_enables_what_the_stack_and_the_steps_before_it_need() -> None:
    assert {f"{service}.googleapis.com" for service in SERVICES} <= enabled_by_the_page()
    assert {"cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"} <= enabled_by_the_page()
    step = PAGE.partition("1. Log in")[2].partition("2. Set up")[0]
    assert step.index("config set project") < step.index("services enable") < step.index("application-default login")
    assert PAGE.index("gcloud services enable") < PAGE.index("bakery lock --stack gcp")


@pytest.mark.parametrize("policy", ["", *POLICIES])
def test_from_an_empty_project_to_a_tested_image(server: FakeServer, tmp_path: Path, clock: Clock, policy: str) -> None:
    given = stack(server, tmp_path)
    server.cloud.conditions.policies = {policy} - {""}
    said: list[str] = []
    for service in enabled_by_the_page():  # step 1
        grants.enable(server.cloud, service)
    base = ComputeEngineFamilies(given.google).resolve("debian-12", "debian-cloud")  # step 3
    assert base.name == "debian-12-v1"
    assert clock.passed >= SERVICE_SECONDS, "the page's commands wait for the service, not the user"

    infrastructure(server, given)  # step 4
    began = clock.passed
    order = shielded(bake_orders.order("app"))
    activity = clock.activity(said.append)
    told = policies.refused(Google(given.google), PLAN.images)  # the preview of step 3
    if policy == "compute.requireOsLogin":
        assert [line.partition(":")[0] for line in told] == ["bakes will fail"]
        assert "set google.osLogin to true" in told[0]
        given = replace(given, google=given.google._replace(os_login=True))
        told = policies.refused(Google(given.google), PLAN.images)
    assert told == []
    made = CloudBuildOven(given, poll_seconds=0.05).bake(order, activity)
    assert made.outcome is BakeOutcome.BAKED
    assert clock.passed - began >= GRANT_SECONDS
    waited = clock.waited(propagation.FIRST_PAUSE)
    assert 0 < waited < GRANT_SECONDS + propagation.LONGEST_PAUSE, "goes on soon after the grants work"
    assert any("new grants" in phase for phase in said), "the reason is on the line"

    agents.obey(server.cloud)
    google = Google(given.google)
    library = ComputeEngineLibrary(given, google)
    tests = replace(clusters.order(made.name), files=())
    state = StatePaths(given.state)
    result = runner.run(tests, library, ComputeEngineClusters(given, google), state, activity)
    assert result.verdict is Verdict.PASSED
    library.promote(made.name, "app")
    promoted = library.find(made.name)
    assert promoted is not None and promoted.family == "app"
    library.promote(library.derive(made.name, "app-stable"), "app-stable")  # which the policy on locations allows, too


def test_ci_and_test_machines_wait_for_grants_too(server: FakeServer, tmp_path: Path, clock: Clock) -> None:
    """As bakery-deploy, and with the token of a machine, moments after the owner's first up."""
    for service in enabled_by_the_page():
        grants.enable(server.cloud, service)
    clock.pass_(SERVICE_SECONDS)
    given = stack(server, tmp_path)
    infrastructure(server, given)
    server.cloud.conditions.caller = "bakery-deploy"
    server.cloud.tokens["t"] = ("bakery-test@p.iam.gserviceaccount.com", (instance.SCOPE,))
    request = urllib.request.Request(f"{server.url}/storage/v1/b/p-bakery-artifacts/o/runs%2Fseed.tar?alt=media")
    request.add_header("Authorization", "Bearer t")

    def seed() -> int:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10)
        with refused.value:
            return refused.value.code

    assert seed() == 403
    said: list[str] = []
    order = shielded(bake_orders.order("app"))
    made = CloudBuildOven(given, poll_seconds=0.05).bake(order, clock.activity(said.append))
    assert made.outcome is BakeOutcome.BAKED
    assert any("needs cloudbuild.builds.list" in phase for phase in said), "our own call was refused, and made again"
    assert seed() == 404, "not there, but allowed"


def test_a_key_that_was_granted_moments_ago_is_waited_for(server: FakeServer, tmp_path: Path, clock: Clock) -> None:
    """Of a stack that had all other grants long ago, by bakes and by test machines."""
    for service in enabled_by_the_page():
        grants.enable(server.cloud, service)
    given = stack(server, tmp_path, kmsKey=keys.KEY)
    infrastructure(server, given)
    clock.pass_(10_000)
    order, activity = shielded(bake_orders.order("app")), clock.activity()
    with pytest.raises(InfrastructureFailed, match="ended as FAILURE") as told:
        CloudBuildOven(given, poll_seconds=0.05).bake(order, activity)
    assert "the account lacks a role" in told.value.hint, "no grant is young"

    def grant() -> float:
        keys.authorize(server.cloud, keys.KEY, clock())
        known = [f"{one.duty} {one.role} {one.target}" for one in GRANTS]
        propagation.note(StatePaths(given.state).grants, [*known, f"agents of {keys.KEY} at {clock()}"])
        return clock()

    granted = grant()
    made = CloudBuildOven(given, poll_seconds=0.05).bake(order, activity)
    assert made.outcome is BakeOutcome.BAKED
    assert clock() - granted >= GRANT_SECONDS
    granted = grant()
    agents.obey(server.cloud)
    google = Google(given.google)
    tests = replace(clusters.order(made.name), files=())
    library, test_clusters = ComputeEngineLibrary(given, google), ComputeEngineClusters(given, google)
    assert runner.run(tests, library, test_clusters, StatePaths(given.state), activity).verdict is Verdict.PASSED
    assert clock() - granted >= GRANT_SECONDS


@pytest.mark.parametrize(
    "case",
    [
        ("compute.requireShieldedVm", {}, "enable_secure_boot"),
        ("compute.requireOsLogin", {}, "google.osLogin to true"),
        ("gcp.resourceLocations", {"image_storage_locations": ["us"]}, "google.region"),
        ("compute.trustedImageProjects", {}, "project of the base image"),
    ],
)
def test_what_a_policy_forbids_is_named_with_what_to_do(
    server: FakeServer, tmp_path: Path, clock: Clock, case: tuple[str, dict[str, object], str]
) -> None:
    policy, changes, hint = case
    for service in enabled_by_the_page():
        grants.enable(server.cloud, service)
    given = stack(server, tmp_path)
    infrastructure(server, given)
    clock.pass_(10_000)
    server.cloud.conditions.policies, server.cloud.conditions.trusted = {policy}, set()
    order = bake_orders.order("app")
    (builder,) = order.template["builders"]
    order = replace(order, template={**order.template, "builders": [{**builder, **changes}]})
    with pytest.raises(InfrastructureFailed, match="ended as FAILURE") as told:
        CloudBuildOven(given, poll_seconds=0.05).bake(order, clock.activity())
    assert policy in told.value.hint and hint in told.value.hint
