"""The log of a build is followed without a gap, whatever bytes are in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, NoCapacity
from bakery.ovens.cloud_build import watch
from bakery.progress.activity import FIRST_PAUSE
from bakery.settings import GoogleSettings
from tests.support import bake_orders
from tests.support.clock import Clock


def test_licence_servers_that_do_not_answer_are_the_message_and_no_fault_of_the_recipe() -> None:
    said = "packages/app/recipe.yaml:3: error: the licence server 1@a does not answer; start it, or else"
    error = failure("bash: connect: Connection refused", f"Step #1:     googlecompute: {said}", "==> Wait completed")
    assert isinstance(error, InfrastructureFailed)
    assert error.message == said


def test_a_secret_in_the_image_is_the_message() -> None:
    said = "bakery: /etc/app.conf has the value of the secret licence"
    error = failure(
        f"Step #1:     googlecompute: {said}", "==> googlecompute: Script exited with non-zero exit status: 1"
    )
    assert isinstance(error, BakeFailed)
    assert error.message.startswith("/etc/app.conf has the value of the secret licence; let the recipe delete it")


def test_bytes_that_are_no_text_leave_no_gap_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    written = b"==> gce: Creating instance...\n" + b"\xff" * 40 + b"\n"
    google: Any = None
    build = cloudbuild_v1.Build()
    monkeypatch.setattr(watch, "log_of", lambda _google, _build, start=0: written[start:])
    follower = watch.BuildWatch(google, "session", 1.0)
    position, phase = follower._follow(build, 0, "")
    assert phase == "Creating instance"
    written += b"==> gce: Waiting for SSH to become available...\n"
    assert follower._follow(build, position, phase) == (len(written), "Waiting for SSH")


def failure(*log: str) -> BakeryError:
    """The error of a build with this log, whose steps failed."""
    build = cloudbuild_v1.Build(status=watch.Status.FAILURE)
    return watch.failure(build, bake_orders.order("hpcc"), log, "gcp")


PACKER = "==> googlecompute: Error creating instance: "
LACKING = f"{PACKER}googleapi: Error 404: The resource 'projects/p/zones/z/machineTypes/n4-standard-2' was not found"
OTHER_LACKING = (
    f"{PACKER}googleapi: Error 400: Machine type with name 'n4-standard-2' does not exist in zone 'z'., invalid"
)
STOCK_OUT = f"{PACKER}The zone 'projects/p/zones/z' does not have enough resources available to fulfill the request."
SHIELDED = f"{PACKER}googleapi: Error 412: Constraint constraints/compute.requireShieldedVm violated for project p."
LOCATION = (
    "==> Error waiting for image: Location us violates constraint constraints/gcp.resourceLocations on the resource"
)
LOGIN = f"{PACKER}googleapi: Error 412: Constraint constraints/compute.requireOsLogin violated for project p."


@pytest.mark.parametrize("line", [LACKING, OTHER_LACKING, STOCK_OUT])
def test_a_machine_that_the_zone_lacks_may_be_in_the_next_one(line: str) -> None:
    error = failure("packer: ready", line, "==> Wait completed")
    assert isinstance(error, NoCapacity)
    assert error.message == line


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (SHIELDED, "policy compute.requireShieldedVm refuses it: bake from a base with Secure Boot"),
        (LOCATION, "policy gcp.resourceLocations refuses it: set google.region"),
        (LOGIN, "policy compute.requireOsLogin refuses it: set google.osLogin to true"),
        (f"{PACKER}Quota 'CPUS' exceeded.  Limit: 8.0 in region us-east1.", "ask for more quota of the region"),
        (f"{PACKER}googleapi: Error 403: Quota exceeded for quota group, rateLimitExceeded", "too many requests"),
    ],
)
def test_what_a_project_refuses_is_not_the_recipes_fault(line: str, hint: str) -> None:
    error = failure("packer: ready", line)
    assert isinstance(error, InfrastructureFailed) and not isinstance(error, NoCapacity)
    assert hint in error.hint


def test_a_recipe_that_fails_is_told_as_such() -> None:
    assert isinstance(failure("make: *** [all] Error 2"), BakeFailed)


def test_all_waits_look_when_the_list_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait that begins between two readings does not pass the next one by."""
    clock = Clock()
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=clock))
    states = iter([watch.Status.WORKING, watch.Status.SUCCESS])
    builds = SimpleNamespace(list_builds=lambda **_: [cloudbuild_v1.Build(id="b", status=next(states))])
    google: Any = SimpleNamespace(project="p", settings=GoogleSettings(), builds=builds)
    watched = watch.BuildWatch(google, "session", 5.0)
    build = cloudbuild_v1.Build(id="b")
    watched._listed(build)  # another thread's look
    clock.pass_(0.3)
    assert watched.wait(build, clock.activity(), joined=False).status == watch.Status.SUCCESS
    assert clock.pauses == [pytest.approx(FIRST_PAUSE - 0.3, abs=1e-6)]
