"""The machines of a local cluster: no more than its network has addresses for."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.clusters.local import LocalCluster, LocalClusters
from bakery.library.base import ImageRecord
from bakery.progress.activity import Activity
from bakery.recipe.model import ClusterShape, Partition
from bakery.settings import parse
from tests.support.clusters import order


def cluster(folder: Path, nodes: int) -> LocalCluster:
    asked = order("a")
    shape = ClusterShape((Partition("debug", nodes=nodes),), login_nodes=0)
    image = ImageRecord("a-1", "", "a", "", "a", "", location="/nowhere")
    clusters = LocalClusters(parse({"oven": "local"}, "dev", folder))
    return clusters.cluster("run-1", image, replace(asked, suite=replace(asked.suite, cluster=shape)), folder)


def test_more_machines_than_addresses_are_an_error_with_a_hint(tmp_path: Path) -> None:
    largest = cluster(tmp_path, 244)
    hosts = set(ip_network("10.77.0.0/24").hosts())
    assert {ip_address(spec.address) for spec in largest.specs} <= hosts
    assert {len(spec.mac) for spec in largest.specs} == {17}
    with pytest.raises(InfrastructureFailed, match="/nowhere is gone"):
        largest.provision(Activity())
    with pytest.raises(InfrastructureFailed, match="at most 245 machines, not 246") as raised:
        cluster(tmp_path, 245).provision(Activity())
    assert "fewer nodes" in raised.value.hint
