"""What a build that was cut short leaves on Compute Engine, and how it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.backends import backend
from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, Interrupted
from bakery.host.google import Google
from bakery.ovens.base import BakeOutcome
from bakery.ovens.cloud_build import machines as bake_machines
from bakery.progress.activity import Activity
from tests.fake_google import builds
from tests.fake_google.builds import Course
from tests.fake_google.cloud import Cloud, Fault
from tests.fake_google.server import FakeServer
from tests.unit.ovens.cloud_build.test_oven import calls, order, oven, server, settings

__all__ = ["server"]
ZONE = "compute/compute/v1/projects/p/zones/us-central1-a"
BUILDS = "cloudbuild/v1/projects/p/builds"
ID = "0a1b2c3d-0000-4000-8000-00000000000%d"


def left(cloud: Cloud) -> list[str]:
    """The machines and disks that there are, as ``instances/...`` and ``disks/...``."""
    kinds = (f"{ZONE}/instances/", f"{ZONE}/disks/")
    return sorted(key.removeprefix(f"{ZONE}/") for key in cloud.items if key.startswith(kinds))


def packer(cloud: Cloud, build_id: str, *, machine: bool = True) -> None:
    """What Packer makes for a build: a machine with a disk that outlives it."""
    name = f"bake-{build_id}"
    boot = {"autoDelete": False, "initializeParams": {"diskName": name}}
    if machine:
        cloud.items[f"{ZONE}/instances/{name}"] = {"name": name, "disks": [boot], "status": "RUNNING"}
    users = [f"{ZONE}/instances/{name}"] if machine else []
    cloud.items[f"{ZONE}/disks/{name}"] = {"name": name, "users": users}


def course(cloud: Cloud, **words: Any) -> None:
    """Builds that go like that, while Packer's machine is there."""

    def choose(build: dict[str, Any]) -> Course:
        packer(cloud, build["id"])
        return Course(**words)

    builds.script(cloud, choose)


def ended(cloud: Cloud, build_id: str, status: str) -> None:
    cloud.items[f"{BUILDS}/{build_id}"] = {"id": build_id, "status": status}


def test_ctrl_c_takes_the_machine_away_and_the_next_up_its_disk(server: FakeServer, tmp_path: Path) -> None:
    activity = Activity()

    def pressed(build: dict[str, Any]) -> Course:
        packer(server.cloud, build["id"])
        activity.cancelled.set()
        return Course(seconds=60)

    builds.script(server.cloud, pressed)
    with pytest.raises(Interrupted):
        oven(server).bake(order(tmp_path), activity)
    (disk,) = left(server.cloud)
    assert disk.startswith("disks/bake-")

    builds.script(server.cloud, lambda _build: Course())
    assert oven(server).bake(order(tmp_path), Activity()).outcome is BakeOutcome.BAKED
    assert left(server.cloud) == []


@pytest.mark.parametrize("status", ["TIMEOUT", "INTERNAL_ERROR", "CANCELLED"])
def test_a_build_that_ends_packer_has_its_machine_taken_away(server: FakeServer, tmp_path: Path, status: str) -> None:
    course(server.cloud, status=status)
    with pytest.raises((BakeFailed, InfrastructureFailed)):
        oven(server).bake(order(tmp_path), Activity())
    assert [name.partition("/")[0] for name in left(server.cloud)] == ["disks"]


def test_the_machine_of_a_build_that_runs_is_left_alone_and_so_is_what_is_nobodys(server: FakeServer) -> None:
    for number, status in enumerate(["WORKING", "QUEUED", "CANCELLED", "TIMEOUT", "SUCCESS"]):
        packer(server.cloud, ID % number, machine=status != "SUCCESS")
        ended(server.cloud, ID % number, status)
    packer(server.cloud, ID % 9)  # of a build that this project has not
    packer(server.cloud, "mine")
    said = backend(settings(server)).recover()
    kept = [ID % 0, ID % 1, ID % 9, "mine"]
    assert left(server.cloud) == sorted(f"{kind}/bake-{name}" for kind in ("disks", "instances") for name in kept)
    assert said == [
        f"deleted what a build that was cut short had left: bake-{ID % number} in us-central1-a" for number in (2, 3, 4)
    ]


def test_a_process_looks_for_leftovers_once_and_bakes_all_the_same_when_it_may_not(
    server: FakeServer, tmp_path: Path
) -> None:
    server.cloud.faults.append(Fault("disks.aggregatedList", 403))
    one = oven(server)
    for digest in ("a" * 64, "b" * 64):
        assert one.bake(order(tmp_path, digest), Activity()).outcome is BakeOutcome.BAKED
    assert calls(server, "disks.aggregatedList") == 1
    server.cloud.faults.append(Fault("disks.aggregatedList", 403))
    with pytest.raises(BakeryError, match="look for disks of builds"):
        bake_machines.clear(Google(settings(server).google))


def test_one_that_cannot_be_deleted_keeps_no_other_and_is_told(server: FakeServer) -> None:
    for number in (1, 2):
        packer(server.cloud, ID % number, machine=False)
        ended(server.cloud, ID % number, "TIMEOUT")
    server.cloud.faults.append(Fault("disks.delete", 400, reason="resourceInUseByAnotherResource"))
    with pytest.raises(BakeryError, match=f"delete the disk bake-{ID % 1}"):
        bake_machines.clear(Google(settings(server).google))
    assert left(server.cloud) == [f"disks/bake-{ID % 1}"]


def test_what_is_gone_meanwhile_is_no_error(server: FakeServer) -> None:
    packer(server.cloud, ID % 1)
    ended(server.cloud, ID % 1, "CANCELLED")
    server.cloud.faults += [Fault("instances.delete", 404), Fault("disks.delete", 404)]
    assert len(bake_machines.clear(Google(settings(server).google))) == 1
