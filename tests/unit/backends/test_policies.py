"""What an organisation's policies refuse of a plan is said before the `up`, with what to set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bakery.backends.google import policies
from bakery.host.google import Google
from bakery.settings import parse
from bakery.settings.google import Duty
from tests.fake_google.cloud import Fault
from tests.fake_google.server import FakeServer, serve
from tests.unit.infrastructure.test_security import PLAN

KEY = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
ACCOUNTS = dict.fromkeys(Duty, "a@p.iam.gserviceaccount.com")


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.conditions.caller = ""  # the project's owner
        yield running
        assert running.cloud.violations == []


def told(server: FakeServer, images: Any = PLAN.images, **more: Any) -> list[str]:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url, **more}
    settings = parse({"oven": "cloud-build", "google": google}, "gcp", Path())
    return policies.refused(Google(settings.google), images)


def test_without_policies_nothing_is_told(server: FakeServer) -> None:
    assert told(server) == []


@pytest.mark.parametrize(
    ("policy", "what", "todo", "met"),
    [
        ("compute.requireOsLogin", "bakes will fail", "google.osLogin to true", {"osLogin": True}),
        ("gcp.resourceLocations", "everything in us-central1 will fail", "google.region", {"region": "europe-west1"}),
        ("compute.trustedImageProjects", "bakes from images of debian-cloud will fail", "add the project", None),
        (
            "gcp.restrictNonCmekServices",
            "resources of bigquery.googleapis.com, resources of storage.googleapis.com will fail",
            "google.kmsKey",
            {"kmsKey": KEY},
        ),
        (
            "iam.disableServiceAccountCreation",
            "the account bakery-builder, ",
            "google.accounts",
            {"accounts": ACCOUNTS},
        ),
    ],
)
def test_what_a_policy_refuses_is_told_until_the_settings_meet_it(
    server: FakeServer, policy: str, what: str, todo: str, met: Mapping[str, Any] | None
) -> None:
    server.cloud.conditions.policies = {policy}
    server.cloud.conditions.locations, server.cloud.conditions.trusted = {"europe-west1"}, {"ubuntu-os-cloud"}
    (line,) = told(server)
    assert line.startswith(what) and todo in line and f"policy {policy} refuses it" in line
    server.cloud.conditions.trusted = {"debian-cloud"}
    assert told(server, **(met or {})) == []


def test_a_template_without_secure_boot_is_told(server: FakeServer) -> None:
    server.cloud.conditions.policies = {"compute.requireShieldedVm"}
    base, child = PLAN.images
    secure = replace(base, template={"builders": [{"enable_secure_boot": True}]})
    (line,) = told(server, [secure, replace(child, template={"builders": [{}]})])
    assert line.startswith("the bake of hpcc will fail: the organisation's policy compute.requireShieldedVm")


@pytest.mark.parametrize(
    ("rules", "denied"),
    [
        ({}, []),
        ({"allValues": "ALLOW"}, []),
        ({"allValues": "DENY"}, ["a", "b"]),
        ({"allowedValues": ["is:a"]}, ["b"]),
        ({"allowedValues": ["a", "in:group"]}, []),
        ({"deniedValues": ["b", "under:folders/1"]}, ["b"]),
    ],
)
def test_lists_with_groups_are_not_guessed_at(rules: Mapping[str, Any], denied: list[str]) -> None:
    assert [one for one in ("a", "b") if policies._refuses({"listPolicy": rules}, one)] == denied


def test_places_of_images_are_checked_as_the_region_is(server: FakeServer) -> None:
    server.cloud.conditions.policies, server.cloud.conditions.locations = {"gcp.resourceLocations"}, {"us-central1"}
    base, _ = PLAN.images
    builder = {"enable_secure_boot": True, "image_storage_locations": ["us", "us-central1", "{{user `place`}}"]}
    (line,) = told(server, [replace(base, template={"builders": [builder]})], storageLocation="eu")
    assert line.startswith("images in eu, images in us will fail: ")


def test_only_policies_that_the_plan_may_break_are_read(server: FakeServer) -> None:
    secure = [replace(image, template={"builders": [{"enable_secure_boot": True}]}) for image in PLAN.images]
    assert told(server, secure, osLogin=True, kmsKey=KEY, accounts=ACCOUNTS) == []
    asked = [method for _, method, _ in server.cloud.calls]
    assert asked == 2 * ["cloudresourcemanager.projects.getEffectiveOrgPolicy"], "places and bases"


@pytest.mark.parametrize("code", [403, 404, 500])
def test_who_may_not_read_the_policies_is_told_nothing(server: FakeServer, code: int) -> None:
    server.cloud.conditions.policies = set(policies.RISKS)
    server.cloud.faults.append(Fault("getEffectiveOrgPolicy", code, times=-1))
    assert told(server) == []


def test_ci_does_without_the_role(server: FakeServer) -> None:
    server.cloud.conditions.policies, server.cloud.conditions.caller = {"compute.requireOsLogin"}, "bakery-deploy"
    assert told(server) == []
