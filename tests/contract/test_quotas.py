"""Quotas of a region: read and compared before a machine is asked for, on the fake Google Cloud."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.backends import backend
from bakery.errors import BakeryError, InfrastructureFailed
from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host import quotas
from bakery.host.google import Google
from bakery.library.base import ImageRecord
from bakery.lock.model import Lock, Place
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.plan.model import ImagePlan
from bakery.plan.plan import make
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.settings import Settings, parse
from tests.fake_google import builds, compute
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Fault
from tests.fake_google.server import FakeServer, serve
from tests.support import bake_orders, clusters, plan_builders

REGION = "Pulumi.gcp.yaml:1: warning: image-bakery:google.region"
UNREADABLE = r"compute\.(regions|projects)\.get"
IMAGE = ImageRecord("app-1", "d", "app", "", "app", "2026-01-01T00:00:00Z")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    monkeypatch.setattr(quotas, "READ_SECONDS", 0.05)
    monkeypatch.setattr(quotas, "LOOK_SECONDS", 0.05)
    with serve() as running:
        running.cloud.add_stack_storage()
        compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", {"name": "app-1"})
        yield running
        assert running.cloud.violations == []


def settings(server: FakeServer, **google: Any) -> Settings:
    values = {"project": "p", "region": "us-central1", "endpoint": server.url, **google}
    return parse({"oven": "cloud-build", "google": values}, "gcp", Path("/checkout"))


def order(package: str, machine: str = "{{user `kind`}}") -> BakeOrder:
    made = bake_orders.order(package)
    (builder,) = made.template["builders"]
    more = {"machine_type": machine, "disk_size": 50, "disk_type": "pd-ssd"}
    variables = {**made.template["variables"], "kind": "n1-standard-8"}
    return replace(made, template={**made.template, "variables": variables, "builders": [{**builder, **more}]})


def cluster(server: FakeServer, tmp_path: Path, kind: str = "c2-standard-4", nodes: int = 2) -> Any:
    shape = ClusterShape((Partition("part", nodes, machine_type=kind),), login_nodes=0)
    jobs = (SuiteJob("j", "good.sh", "out/good", "part", f"--nodes={nodes}", time_limit=60),)
    asked = replace(clusters.order("app-1"), suite=Suite(jobs, shape))
    given = settings(server)
    workspace = clusters.workspace(tmp_path / "workspace")
    return ComputeEngineClusters(given, Google(given.google)).cluster("r1", IMAGE, asked, workspace)


def test_a_region_answers_with_limits_and_with_what_instances_use(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.quota = {"C2_CPUS": 16}
    server.cloud.conditions.used = {"C2_CPUS": 4}
    made = cluster(server, tmp_path)
    made.provision(Activity())
    found = quotas.read(made.google, "us-central1")
    assert found["C2_CPUS"] == (16, 12)
    assert found["E2_CPUS"].usage == 2, "the controller"
    assert found["INSTANCES"].usage == 3
    assert found["CPUS_ALL_REGIONS"].usage == 10
    assert found["PREEMPTIBLE_CPUS"] == (0, 0)
    made.tear_down()
    assert quotas.read(made.google, "us-central1")["C2_CPUS"].usage == 4


def test_bakes_that_do_not_fit_together_wait_for_each_other(server: FakeServer) -> None:
    server.cloud.conditions.quota = {"CPUS": 20}
    builds.script(server.cloud, lambda _build: Course(seconds=0.4))
    oven = CloudBuildOven(settings(server), poll_seconds=0.05)
    said: list[str] = []
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(lambda name: oven.bake(order(name), Activity(said.append)).outcome, "abc"))
    assert done == [BakeOutcome.BAKED] * 3
    assert [build["status"] for build in server.cloud.below("cloudbuild/v1/projects/p/builds")] == ["SUCCESS"] * 3
    assert any(phase.startswith("waiting for quota: 8 CPUS, of which ") for phase in said)


def test_a_bake_that_can_never_fit_submits_no_build(server: FakeServer) -> None:
    server.cloud.conditions.quota = {"SSD_TOTAL_GB": 40}
    oven = CloudBuildOven(settings(server), poll_seconds=0.05)
    with pytest.raises(BakeryError, match=r"needs 50 SSD_TOTAL_GB of at most 40 in us-central1"):
        oven.bake(order("app"), Activity())
    assert server.cloud.below("cloudbuild/v1/projects/p/builds") == []


def test_without_the_right_to_read_quotas_google_refuses_in_its_words(server: FakeServer) -> None:
    server.cloud.faults = [Fault(UNREADABLE, 403, -1)]
    server.cloud.conditions.quota = {"CPUS": 4}
    oven = CloudBuildOven(settings(server), poll_seconds=0.05)
    with pytest.raises(InfrastructureFailed, match="ended as FAILURE") as told:
        oven.bake(order("app", "n1-standard-8"), Activity())
    assert "Quota 'CPUS' exceeded.  Limit: 4.0 in region us-central1." in told.value.tail[-1]
    assert "ask for more quota of the region" in told.value.hint


def test_a_cluster_that_can_never_fit_makes_no_machine(server: FakeServer, tmp_path: Path) -> None:
    server.cloud.conditions.quota = {"C2_CPUS": 4}
    made = cluster(server, tmp_path)
    with pytest.raises(BakeryError, match=r"the test of app-1 needs 8 C2_CPUS of at most 4 in us-central1"):
        made.provision(Activity())
    made.tear_down()
    assert not any(name == "compute.instances.insert" for _, name, _ in server.cloud.calls)


def images(server: FakeServer, machine: str = "n1-standard-8") -> tuple[ImagePlan, ...]:
    """Two recipes, and two that are baked from the first."""
    shape = ClusterShape((Partition("p", 2, machine_type="c2-standard-4"),))
    suite = Suite((SuiteJob("j", "j.sh", "out", batch_options="--nodes=2"),), shape)
    recipes = [
        plan_builders.recipe("base", suite=suite),
        plan_builders.recipe("big", substitutions={"_MACHINE_TYPE": machine}, suite=None),
        *(plan_builders.recipe(name, "base", suite=None) for name in ("one", "two")),
    ]
    lock = Lock({Place.GOOGLE: {"debian-cloud/debian-12": plan_builders.BASE}})
    return make(settings(server), plan_builders.recipes(*recipes), lock).images


def beyond(server: FakeServer, planned: tuple[ImagePlan, ...], **google: Any) -> list[str]:
    tested = [image for image in planned if image.tests]
    return [str(one) for one in backend(settings(server, **google)).beyond_quotas(planned, tested)]


def test_a_preview_names_what_can_never_fit(server: FakeServer) -> None:
    server.cloud.conditions.quota = {"C2_CPUS": 4, "CPUS": 24}
    server.cloud.conditions.caller = "bakery-deploy"
    told = beyond(server, images(server, "n1-standard-96"))
    assert told == [
        "packages/big/packer.json:1: warning: big will not be baked: its machine needs 96 CPUS of at most 24 in "
        "us-central1; use another machine_type, or ask for more quota of the region",
        "packages/base/packer.json:1: warning: base will not be tested: the test cluster needs 8 C2_CPUS of at most 4 "
        "in us-central1; use another machine_type, fewer nodes, or ask for more quota of the region",
    ]


def test_a_preview_counts_what_runs_at_the_same_time(server: FakeServer) -> None:
    """At first base and big, then the images on base and its test cluster."""
    server.cloud.conditions.quota = {"CPUS": 20, "INSTANCES": 5}
    server.cloud.conditions.used = {"CPUS": 8}
    told = beyond(server, images(server))
    assert told == [
        f"{REGION}: bakes and tests may need 6 INSTANCES of us-central1 at the same time, the limit is 5; they wait "
        "for each other; to avoid that, ask for more quota of the region",
        f"{REGION}: bakes and tests may need 16 CPUS of us-central1 at the same time, the limit is 20 (8 are in use); "
        "they wait for each other; to avoid that, ask for more quota of the region",
    ]
    assert beyond(server, images(server), bakesAtOnce=1) == [], "the settings keep it below"


def test_a_preview_without_bakes_or_without_an_answer_says_nothing(server: FakeServer) -> None:
    server.cloud.conditions.quota = {"CPUS": 1}
    assert beyond(server, ()) == []
    assert server.cloud.calls == []
    server.cloud.faults = [Fault(UNREADABLE, 403, -1)]
    assert beyond(server, images(server)) == []
