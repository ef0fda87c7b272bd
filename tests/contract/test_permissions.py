"""Each account that calls Google has the roles for its calls, and no other account's roles help it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import pytest

from bakery.errors import AccessRefused, BakeryError
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host.google import Google
from bakery.library.base import Proof, Want
from bakery.library.compute_engine.bigquery import store_rows
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.progress.activity import Activity
from bakery.rcc_run.run import look_up
from bakery.settings import Settings, parse
from bakery.settings.google import Duty
from tests.fake_google import agents, calls, compute, discovery, permissions
from tests.fake_google.server import FakeServer, serve
from tests.gcp import methods
from tests.support import bake_orders, clusters
from tests.support.root import ROOT

IMAGE = "app-0123456789ab"
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"
PRODUCTS = ("bigquery", "cloudbuild", "compute", "pubsub", "storage")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        items = running.cloud.items
        running.cloud.add_stack_storage()
        items[TABLE] = {"schema": {"fields": [{"name": "job", "type": "STRING"}]}}
        image = {"name": IMAGE, "labels": {"bakery-digest": "d", "bakery-family": "app"}}
        compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", image)
        yield running


def settings(server: FakeServer, folder: Path) -> Settings:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url}
    return replace(parse({"oven": "cloud-build", "google": google}, "gcp", folder), state=folder / "state")


def use(server: FakeServer, given: Settings, folder: Path) -> None:
    """Look an image up, test it on a cluster, store the rows: all that an rcc-run step does."""
    agents.obey(server.cloud)
    google = Google(given.google)
    image = look_up(f"projects/p/global/images/{IMAGE}", google)
    workspace = clusters.workspace(folder / "workspace")
    cluster = ComputeEngineClusters(given, google).cluster("r1", image, clusters.order(IMAGE), workspace)
    try:
        cluster.provision(Activity())
        assert cluster.status().ended
        cluster.collect(folder / "results")
    finally:
        cluster.tear_down()
    store_rows(google, given.google.table_id, [{"job": "a"}], "r1")


def test_a_step_of_rcc_run_needs_what_its_page_says(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.caller = permissions.STEP
    use(server, settings(server, tmp_path), tmp_path)
    assert server.cloud.violations == []
    page = (ROOT / "docs" / "rcc-run.md").read_text(encoding="utf-8").partition("## Permissions of the step")[2]
    for grant in permissions.STEP_GRANTS:
        assert f"`{grant.role}`" in page


@pytest.mark.parametrize("lost", permissions.STEP_GRANTS[:4], ids=lambda grant: str(grant.role))
def test_no_role_of_a_step_is_granted_for_nothing(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: permissions.Grant
) -> None:
    left = tuple(grant for grant in permissions.STEP_GRANTS if grant != lost)
    monkeypatch.setattr(permissions, "STEP_GRANTS", left)
    server.cloud.conditions.caller = permissions.STEP
    with pytest.raises(BakeryError, match="has not"):
        use(server, settings(server, tmp_path), tmp_path)


def test_deploy_bakes_tests_promotes_shares_and_withdraws(server: FakeServer, tmp_path: Path) -> None:
    given = settings(server, tmp_path)
    made = CloudBuildOven(given, poll_seconds=0.05).bake(bake_orders.order("hpcc"), Activity())
    assert made.outcome is BakeOutcome.BAKED
    use(server, given, tmp_path)
    library = ComputeEngineLibrary(given)
    library.record_test(made.name, Proof.PASSED, "t")
    library.promote(made.name, "hpcc")
    library.promote(library.derive(made.name, "hpcc-stable"), "hpcc-stable")
    library.share(made.name, ["group:a@example.com"])
    library.want(Want("a/b", "hpcc", made.name, "t"))
    assert library.drop_want("a/b", "hpcc", "t")
    library.unpromote(made.name, "hpcc")
    library.deprecate(made.name)
    assert server.cloud.violations == []


def test_a_trigger_bakes_and_may_not_promote(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.caller = "bakery-trigger"
    given = settings(server, tmp_path)
    made = CloudBuildOven(given, poll_seconds=0.05).bake(bake_orders.order("hpcc"), Activity())
    assert made.outcome is BakeOutcome.BAKED
    assert server.cloud.violations == []
    with pytest.raises(AccessRefused, match=r"compute\.images\.update, which bakery-trigger has not"):
        ComputeEngineLibrary(given).promote(made.name, "hpcc")


@pytest.mark.parametrize(("name", "status"), [("runs/r1/seed.tar", 404), ("workspaces/w1.tar", 403)])
def test_a_test_machine_reads_what_is_of_runs_and_nothing_else(server: FakeServer, name: str, status: int) -> None:
    """As the machines ask: with an escaped name, and a token of the machine's account."""
    server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
    server.cloud.tokens["t"] = (
        "bakery-test@p.iam.gserviceaccount.com",
        ("https://www.googleapis.com/auth/cloud-platform",),
    )
    url = f"{server.url}/storage/v1/b/p-bakery-artifacts/o/{quote(name, safe='')}?alt=media"
    with pytest.raises(HTTPError) as refused:
        urlopen(Request(url, headers={"Authorization": "Bearer t"}), timeout=10)
    with refused.value:
        assert refused.value.code == status


def test_every_method_is_one_that_google_publishes_and_that_an_account_may_call() -> None:
    published = {method.id for product in PRODUCTS for method in discovery.api(product).methods}
    assert set(permissions.NEEDED) <= published
    assert [method for method in permissions.NEEDED if not permissions.holders(method)] == []
    assert {grant.duty for grant in permissions.GRANTS} == set(Duty)


def test_every_call_of_the_code_and_of_the_provider_is_in_a_table() -> None:
    assert {method for method, _ in methods.by_the_code()} - set(permissions.asked()) == set()
    rows = {line.split("`")[1] for line in calls.setup_table().splitlines()[2:]}
    assert rows == {method.rpartition(".")[0] for method, _ in methods.by_the_provider()}


def test_what_pulumi_gcp_asks_for_is_in_the_role_that_the_page_names() -> None:
    asked = {(calls.setup_of(method).role, calls.setup_permission(method)) for method, _ in methods.by_the_provider()}
    assert [(role, one) for role, one in sorted(asked) if one not in calls.permissions_of(role)] == []
    named = {setup.role for setup in calls.SETUP.values()}
    assert named == {role for role, _ in asked} == set(calls.HOLDS), "no role for nothing"


def test_what_other_programs_ask_for_is_asked_with_a_role_that_is_granted() -> None:
    assert {one.role for one in calls.OTHERS} <= {grant.role for grant in permissions.GRANTS} | {calls.FEDERATED}
    for one in calls.OTHERS:
        assert one.permission in permissions.ROLES.get(one.role, (one.permission,))


@pytest.mark.parametrize("name", ["table", "setup_table", "others_table"])
def test_the_tables_of_calls_are_those_of_the_page(name: str) -> None:
    page = (ROOT / "docs" / "google.md").read_text(encoding="utf-8")
    match = re.search(rf"<!-- rendered by tests\.fake_google\.calls\.{name} -->\n(.*?)<!-- end -->", page, re.DOTALL)
    assert match is not None
    rendered = {"table": calls.table, "setup_table": calls.setup_table, "others_table": calls.others_table}[name]()
    assert match[1] == rendered, f"render it again: python -c 'from tests.fake_google.calls import {name}; ...'"
    named = {*calls.HELD_BY.values(), calls.PACKERS, calls.SETUP_HELD_BY, *(one.test for one in calls.OTHERS)}
    assert [name for name in named if not (ROOT / "tests" / name).is_file()] == []
