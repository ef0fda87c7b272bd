"""What refresh and diff say of a family of another project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import AccessRefused, Uncertain
from bakery.infrastructure.grants import COPIER_ROLE
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.library.wants import Wants
from bakery.resources import progress, promoted_image, provider
from bakery.resources.promoted_image import PromotedImageProvider
from bakery.settings import parse
from bakery.settings.copies import ROLE
from tests.fake_google import compute
from tests.fake_google.server import FakeServer, serve

HERE, THERE = (f"compute/compute/v1/projects/{project}/global/images" for project in ("p", "there"))
URN = "urn:pulumi:gcp::image-bakery::pulumi-python:dynamic/bakery:PromotedImage::a@there"
PROPS = {"family": "a@there", "image": "a-1", "proofs": {"a-1": ""}, "urn": URN, "project": "p"}
said: list[str] = []


class Told:
    def status(self, _urn: str, text: str) -> None:
        said.append(text)

    warn = status


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeServer]:
    said.clear()
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        running.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
        for name in ("a-1", "a-2"):
            compute.add_image(
                running.cloud, HERE, {"name": name, "labels": {"bakery-digest": name, "bakery-family": "a"}}
            )
        google = {"project": "p", "region": "us-central1", "endpoint": running.url, "copies": {"there": {}}}
        stack = parse({"oven": "cloud-build", "google": google}, "gcp", Path())
        view = provider._Library()
        monkeypatch.setattr(provider, "settings", lambda _urn: stack)
        for module in (provider, promoted_image):
            monkeypatch.setattr(module, "library_view", view)
        monkeypatch.setattr(progress, "engine", Told)
        monkeypatch.setattr(provider, "wants", Wants())
        ComputeEngineLibrary(stack).promote("a-1", "a")
        yield running
        assert running.cloud.violations == []


def made() -> dict[str, Any]:
    outs = PromotedImageProvider().create(PROPS).outs
    assert outs is not None
    return outs


def read(outs: dict[str, Any]) -> tuple[str | None, Any]:
    provider.library_view.forget()
    found = PromotedImageProvider().read("a@there", outs)
    return found.id, (found.outs or {}).get("image")


def changes(outs: dict[str, Any]) -> bool | None:
    provider.library_view.forget()
    return PromotedImageProvider().diff("a@there", outs, PROPS).changes


def test_a_copy_that_is_as_it_was_made_is_kept(server: FakeServer) -> None:
    outs = made()
    assert said == ["copying a-1 into there"]
    assert (read(outs), changes(outs)) == (("a@there", "a-1"), False)


def test_what_somebody_changed_there_is_a_change(server: FakeServer) -> None:
    outs, copy = made(), server.cloud.items[f"{THERE}/a-1"]
    copy["labels"]["bakery-family"] = "b"
    assert read(outs) == ("a@there", promoted_image.OTHER_LABELS)
    copy["labels"]["bakery-family"] = "a"
    compute.add_image(server.cloud, THERE, {"name": "theirs", "family": "a"})
    assert (read(outs), changes(outs)) == (("a@there", "theirs"), True)
    del server.cloud.items[f"{THERE}/a-1"], server.cloud.items[f"{THERE}/theirs"]
    assert (read(outs), changes(outs)) == (("", None), True)


def test_a_project_that_cannot_be_read_keeps_its_copies_with_a_warning(server: FakeServer) -> None:
    outs = made()
    server.cloud.conditions.elsewhere["there"] = set()
    assert (read(outs), changes(outs)) == (("a@there", "a-1"), False)
    assert [text.partition(": GET")[0] for text in said[1:]] == [
        "the resources are kept as they are: the copies in there are not known: list images"
    ] * 2
    with pytest.raises(Uncertain, match=r"^list images: .*'compute\.images\.list'") as refused:
        provider.library_of(URN).promote("a-1", "a@there")
    assert not isinstance(refused.value, AccessRefused), "an up would wait for a grant that it does not make"
    assert ROLE in refused.value.hint


def test_a_deletion_deprecates_the_copy_and_leaves_the_original(server: FakeServer) -> None:
    PromotedImageProvider().delete("a@there", made())
    assert said[-1] == "a@there now points at no image"
    assert server.cloud.items[f"{THERE}/a-1"]["deprecated"]["state"] == "DEPRECATED"
    assert "deprecated" not in server.cloud.items[f"{HERE}/a-1"]
