"""What nobody has quoted of Google: the product works, whether Google refuses what a rule says or takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from google.api_core import exceptions

from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
from bakery.host.google import Google
from bakery.host.google_errors import Cause, cause_of
from bakery.library.base import ImageRecord
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build.oven import CloudBuildOven
from bakery.progress.activity import Activity
from bakery.recipe.machine_kinds import NicType, Provisioning
from bakery.recipe.model import ClusterShape, Partition, Suite, SuiteJob
from bakery.settings import parse
from tests.fake_google import compute, refusals
from tests.fake_google.refusals import RULES
from tests.fake_google.server import FakeServer, serve
from tests.support import bake_orders, clusters

ASSUMED = {rule.name: rule for rule in RULES if rule.assumed}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        for bucket in ("sources", "logs", "artifacts"):
            running.cloud.items[f"storage/storage/v1/b/p-bakery-{bucket}"] = {"name": f"p-bakery-{bucket}"}
        image = {"name": "app-1", "guestOsFeatures": [{"type": "GVNIC"}]}
        compute.add_image(running.cloud, "compute/compute/v1/projects/p/global/images", image)
        yield running
        assert running.cloud.violations == []


def machines(*partitions: Partition, **more: object) -> Callable[[FakeServer, Path], int]:
    """A cluster with these partitions, which has to be made; how many machines it has."""

    def make(server: FakeServer, folder: Path) -> int:
        jobs = tuple(
            SuiteJob("j", "good.sh", f"out/{one.name}", one.name, "--nodes=1", time_limit=60) for one in partitions
        )
        order = replace(clusters.order("app-1"), suite=Suite(jobs, ClusterShape(partitions)), files=())
        values = {"project": "p", "region": "us-central1", "endpoint": server.url, "zones": ["us-central1-a"], **more}
        settings = parse({"oven": "cloud-build", "google": values}, "gcp", folder)
        image = ImageRecord("app-1", "d", "app", "", "app", "")
        workspace = clusters.workspace(folder / "workspace")
        cluster = ComputeEngineClusters(settings, Google(settings.google)).cluster("r1", image, order, workspace)
        cluster.provision(Activity())
        made = len([key for key in server.cloud.items if "/instances/" in key])
        cluster.tear_down()
        return made

    return make


def log_in(server: FakeServer, folder: Path) -> int:
    """A bake with OS Login in a project that requires it, and a test machine."""
    server.cloud.conditions.policies = {"compute.requireOsLogin"}
    values = {"project": "p", "region": "us-central1", "endpoint": server.url, "osLogin": True}
    oven = CloudBuildOven(parse({"oven": "cloud-build", "google": values}, "gcp", folder), poll_seconds=0.05)
    assert oven.bake(bake_orders.order("app"), Activity()).outcome is BakeOutcome.BAKED
    return machines(Partition("any"))(server, folder)


FALCON = {"falcon": {"profile": "us-central1-a-vpc-falcon", "subnetworks": ["rdma-0"]}}
H4D = "h4d-standard-192"
# What the product sends that is nearest to the rule.
NEAREST: Mapping[str, Callable[[FakeServer, Path], int]] = {
    "run-time": machines(Partition("any")),
    "require-os-login": log_in,
    "interface-of-another-series": machines(
        Partition("rdma", 1, machine_type=H4D, nic_type=NicType.IRDMA, rdma_network="falcon"), rdmaNetworks=FALCON
    ),
    "provisioning-model": machines(
        Partition("flex", 1, machine_type=H4D, provisioning=Provisioning.FLEX_START),
        Partition("spot", 1, preemptible=True),
        Partition("reserved", 1, machine_type="c2-standard-4", reservation="r"),
    ),
}


@pytest.mark.parametrize("refuses", [True, False], ids=["refuses", "takes"])
@pytest.mark.parametrize("name", ASSUMED)
def test_it_works_whether_google_refuses_or_takes_it(
    server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, refuses: bool
) -> None:
    if not refuses:
        monkeypatch.setattr(refusals, "RULES", tuple(rule for rule in RULES if rule.name != name))
    assert NEAREST[name](server, tmp_path) >= 3


def test_every_rule_that_is_assumed_is_tried_both_ways() -> None:
    assert set(NEAREST) == set(ASSUMED)


@pytest.mark.parametrize("reason", ["accessNotConfigured", "forbidden", "SERVICE_DISABLED"])
def test_a_service_that_is_off_is_recognised_by_its_words_or_by_any_reason(reason: str) -> None:
    words = "Compute Engine API has not been used in project 1 before or it is disabled."
    assert cause_of(exceptions.Forbidden(words, errors=[{"reason": reason}])) is Cause.SERVICE  # type: ignore[no-untyped-call]
