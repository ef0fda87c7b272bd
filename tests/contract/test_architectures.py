"""Bakes of images for Arm on the fake Google Cloud, which refuses machines with other processors as Google does."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest

from tests.fake_google import baking, compute
from tests.fake_google.server import FakeServer, serve

IMAGES = "compute/compute/v1/projects/debian-cloud/global/images"
BUILD = {"projectId": "p", "source": {"storageSource": {"bucket": "b", "object": "source.tar"}}}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with serve() as running:
        for name, architecture in (("debian-12-arm64-1", "ARM64"), ("debian-12-1", "X86_64")):
            compute.add_image(running.cloud, IMAGES, {"name": name, "architecture": architecture})
        yield running


def submitted(server: FakeServer, **options: Any) -> Any:
    """A build whose source has a template with these options of its builder."""
    sink = io.BytesIO()
    builder = {"type": "googlecompute", "source_image_project_id": ["debian-cloud"], **options}
    content = json.dumps({"builders": [builder]}).encode()
    with tarfile.open(fileobj=sink, mode="w") as tar:
        entry = tarfile.TarInfo("packages/app/packer.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    server.cloud.media["storage/storage/v1/b/b/o/source.tar"] = sink.getvalue()
    return BUILD


@pytest.mark.parametrize(
    ("image", "machine"), [("debian-12-arm64-1", "n2-standard-2"), ("debian-12-1", "c4a-standard-2")]
)
def test_a_machine_with_other_processors_is_refused(server: FakeServer, image: str, machine: str) -> None:
    said = baking.refused(server.cloud, submitted(server, source_image=image, machine_type=machine))
    assert "Requested boot disk architecture" in said
    assert said.startswith("==> googlecompute: Error creating instance: googleapi: Error 400:")


@pytest.mark.parametrize(
    ("image", "machine"),
    [("debian-12-arm64-1", "t2a-standard-2"), ("debian-12-1", "e2-standard-2"), ("debian-12-1", "{{user `machine`}}")],
)
def test_a_machine_that_fits_is_not_refused(server: FakeServer, image: str, machine: str) -> None:
    build = submitted(server, source_image=image, machine_type=machine, image_architecture="arm64")
    assert baking.refused(server.cloud, build) == ""
    assert baking.baked_for(server.cloud, build) == "ARM64"
