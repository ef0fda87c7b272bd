"""External base images of Compute Engine are looked up with Google's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from bakery.errors import InputError
from bakery.lock.resolve import ComputeEngineFamilies
from bakery.settings import GoogleSettings
from tests.fake_google.compute import add_image
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/centos-cloud/global/images"


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as made:
        yield made


def families(server: FakeServer) -> ComputeEngineFamilies:
    return ComputeEngineFamilies(GoogleSettings(project="p", region="us-central1", endpoint=server.url))


def test_a_family_is_its_newest_image(server: FakeServer) -> None:
    for day in ("20200714", "20200910"):
        newest = add_image(server.cloud, IMAGES, {"name": f"centos-7-v{day}", "family": "centos-7"})
    found = families(server).resolve("centos-7", "centos-cloud")
    assert (found.name, found.identity) == ("centos-7-v20200910", f"id:{newest['id']}")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", found.resolved)


def test_a_source_image_is_an_image_by_its_name(server: FakeServer) -> None:
    """As rcc-apps' amber names one, not a family."""
    made = add_image(server.cloud, IMAGES, {"name": "centos-7-v20200714", "family": "centos-7"})
    found = families(server).resolve("centos-7-v20200714", "centos-cloud")
    assert (found.name, found.identity) == ("centos-7-v20200714", f"id:{made['id']}")


def test_what_is_neither_says_so(server: FakeServer) -> None:
    with pytest.raises(InputError, match="no image family and no image centos-cloud/nothing"):
        families(server).resolve("nothing", "centos-cloud")
