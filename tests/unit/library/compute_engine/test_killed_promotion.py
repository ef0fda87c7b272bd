"""A promotion that is killed between two of its changes: drift and preview say it, and the next one mends it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.infrastructure.grants import COPIER_ROLE
from bakery.library.base import Listing, Proof, Want
from bakery.library.compute_engine.images import ImageRequests
from bakery.operations.image import image
from bakery.preview.drift import Observed, compare
from bakery.preview.snapshot import LibrarySnapshot, read
from bakery.settings import Settings
from tests.fake_google import compute
from tests.fake_google.cloud import Cloud
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/p/global/images"


class Killed(BaseException):
    """The process is gone."""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        running.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        running.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
        for name in ("a-1", "a-2"):
            labels = {"bakery-digest": name, "bakery-family": "a"}
            compute.add_image(running.cloud, IMAGES, {"name": name, "labels": labels})
        yield running
        assert running.cloud.violations == []


@pytest.fixture
def chosen(server: FakeServer, make_settings: Callable[..., Settings]) -> Backend:
    google = {"project": "p", "region": "us-central1", "endpoint": server.url, "copies": {"there": {}}}
    made = backend(make_settings(oven="cloud-build", google=google))
    for name in ("a-1", "a-2"):
        made.library().record_test(name, Proof.PASSED, "t")
    return made


def promote(chosen: Backend, name: str, family: str) -> None:
    chosen.library().promote(name, family, Want("p/dev", family, name, "t"))


def killed(chosen: Backend, name: str, family: str, after: int) -> bool:
    """Promote, and die before the change number ``after``; return whether there was one."""
    left = iter(range(after))
    change = ImageRequests._change

    def dying(self: ImageRequests, *args: object, **more: object) -> None:
        if next(left, None) is None:
            raise Killed
        change(self, *args, **more)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ImageRequests, "_change", dying)
        try:
            promote(chosen, name, family)
        except Killed:
            return True
    return False


def drift(chosen: Backend) -> list[str]:
    library = chosen.library()
    held: Listing = library.listing()
    wants = tuple(library.wants())
    seen = Observed(
        "dev",
        records={one.name: one for one in held.images},
        families=held.families,
        wants=wants,
        copies=[one.look() for one in library.copies(wants)],
    )
    return [str(one.kind) for one in compare(seen)]


def look(chosen: Backend) -> LibrarySnapshot:
    return read(chosen.settings, chosen.existing_library, ())


@pytest.mark.parametrize("family", ["a", "a@there"])
@pytest.mark.parametrize(("first", "then"), [("", "a-1"), ("a-1", "a-2"), ("a-2", "a-1")])
def test_whatever_a_killed_promotion_did_is_seen_and_mended(
    server: FakeServer, chosen: Backend, first: str, then: str, family: str
) -> None:
    points = 0
    while True:
        for name in filter(None, (first, then if family != "a" else "")):
            promote(chosen, name, "a")
            if name == first:
                promote(chosen, name, family)
        if not killed(chosen, then, family, points):
            break
        points += 1
        held = look(chosen)
        whole = held.points(family, then) and not held.rival(family)
        assert whole is (drift(chosen) == []), (points, drift(chosen))
        now = held.pointers.get(family, "")
        assert now in (first, then), "a family that had an image never loses it"
        if family == "a" and now:
            assert image(chosen, "a")["name"] == now == resolved(server.cloud, "a")
        promote(chosen, then, family)
        assert drift(chosen) == []
        assert look(chosen).points(family, then)
        entries = chosen.library().history.entries(family)
        assert [one.image for one in entries] == [name for name in (first, then) if name], "each change once"
        reset(server.cloud)
    assert points >= 1


def resolved(cloud: Cloud, family: str) -> str:
    """What Compute Engine returns for the family."""
    active = [one for one in cloud.below(IMAGES) if one.get("family") == family and "deprecated" not in one]
    return str(active[-1]["name"]) if active else ""


def reset(cloud: Cloud) -> None:
    """Take the families' images out of them again."""
    for key in [key for key in cloud.items if "/projects/there/" in key or "/o/wants/" in key or "/o/history/" in key]:
        del cloud.items[key]
    for one in cloud.below(IMAGES):
        one.pop("family", None)
        one.pop("deprecated", None)
