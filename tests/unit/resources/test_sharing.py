"""Promoted images are shared with the consumers of the settings, and no longer with removed ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.resources import progress, provider
from bakery.resources.promoted_image import PromotedImageProvider
from bakery.settings import parse
from tests.fake_google import compute
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/p/global/images"
URN = "urn:pulumi:gcp::image-bakery::pulumi-python:dynamic/bakery:PromotedImage::hpcc"
PROPS = {"family": "hpcc", "image": "hpcc-1", "proofs": {"hpcc-1": ""}, "urn": URN}


class Silent:
    def status(self, _urn: str, _text: str) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        for name in ("hpcc-1", "hpcc-2"):
            labels = {"bakery-digest": name, "bakery-family": "hpcc"}
            compute.add_image(running.cloud, IMAGES, {"name": name, "labels": labels})
        google = {"project": "p", "region": "us-central1", "endpoint": running.url}
        stack = parse({"oven": "cloud-build", "google": google}, "gcp", Path())
        monkeypatch.setattr(provider, "settings", lambda _urn: stack)
        monkeypatch.setattr(progress, "engine", Silent)
        yield running
        assert running.cloud.violations == []


def users(server: FakeServer, image: str) -> list[str]:
    """Who may boot from an image."""
    policies = {key.rpartition("/")[2]: policy for key, policy in server.cloud.policies.items()}
    bindings = policies.get(image, {}).get("bindings", [])
    return [member for one in bindings if one["role"] == "roles/compute.imageUser" for member in one["members"]]


def test_a_promotion_shares_and_another_image_of_the_family_is_shared_too(server: FakeServer) -> None:
    props = {**PROPS, "consumers": ["group:a@example.com"]}
    PromotedImageProvider().create(props)
    assert users(server, "hpcc-1") == ["group:a@example.com"]
    PromotedImageProvider().update("hpcc", props, {**props, "image": "hpcc-2"})
    assert users(server, "hpcc-2") == ["group:a@example.com"]


def test_a_change_of_consumers_alone_is_an_update_that_adds_and_takes_away(server: FakeServer) -> None:
    olds = {**PROPS, "consumers": ["group:a@example.com", "group:b@example.com"]}
    PromotedImageProvider().create(olds)
    for news, left in (
        ({**PROPS, "consumers": ["group:b@example.com", "group:c@example.com"]}, ["b", "c"]),
        (PROPS, []),
    ):
        found = PromotedImageProvider().diff("hpcc", olds, news)
        assert (found.changes, found.replaces) == (True, [])
        PromotedImageProvider().update("hpcc", olds, news)
        assert users(server, "hpcc-1") == [f"group:{name}@example.com" for name in left]
        olds = news


def test_what_others_granted_stays(server: FakeServer) -> None:
    key = f"{IMAGES}/hpcc-1"
    mine = {"role": "roles/compute.imageUser", "members": ["user:somebody@example.com"]}
    admin = {"role": "roles/compute.admin", "members": ["user:boss@example.com"]}
    condition = {"title": "until May", "expression": 'request.time < timestamp("2026-05-01T00:00:00Z")'}
    guest = {"role": "roles/compute.imageUser", "members": ["user:guest@example.com"], "condition": condition}
    server.cloud.policies[key] = {"etag": "BwA=", "version": 3, "bindings": [mine, admin, guest]}
    olds = {**PROPS, "consumers": ["group:a@example.com"]}
    PromotedImageProvider().create(olds)
    PromotedImageProvider().update("hpcc", olds, PROPS)
    bindings = server.cloud.policies[key]["bindings"]
    assert sorted(bindings, key=str) == sorted([mine, admin, guest], key=str)


def test_nobody_is_asked_when_nobody_is_to_share(server: FakeServer) -> None:
    PromotedImageProvider().create(PROPS)
    assert not [method for _, method, _ in server.cloud.calls if "IamPolicy" in method]
