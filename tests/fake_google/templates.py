"""The builders of the Packer template in the source of a build, as Packer would read them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

from tests.fake_google.cloud import Cloud

Json = Any


def builders(cloud: Cloud, build: Json) -> Iterator[Json]:
    """The builders of the template in a build's source."""
    for template in read(cloud, build):
        yield from template["builders"]


def read(cloud: Cloud, build: Json) -> Iterator[Json]:
    """The template in a build's source; none without a source."""
    source = build.get("source", {}).get("storageSource", {})
    content = cloud.media.get(f"storage/storage/v1/b/{source.get('bucket')}/o/{source.get('object')}")
    if content is None:
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            if member.name.endswith("packer.json") and file is not None:
                yield json.load(file)
