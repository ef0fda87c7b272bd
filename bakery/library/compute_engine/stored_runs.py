"""The results of Fluid-Runs in the artifacts bucket, each read at most once: a stored result never changes."""

import base64
import hashlib
import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from google.cloud.storage import Blob, Bucket  # type: ignore[import-untyped]

from bakery import paths
from bakery.errors import InfrastructureFailed
from bakery.host.files import write_atomic
from bakery.host.google import CALLS_AT_ONCE, STORAGE_RETRY, fetched, ignore_missing

FOLDER = "results/"


def write(bucket: Bucket, image: str, run_id: str, text: str) -> str:
    """Store the result of a run of the image and return its address. Raises the client library's errors."""
    blob = bucket.blob(f"{FOLDER}{image}/{run_id}.json")
    blob.upload_from_string(text, content_type="application/json", retry=STORAGE_RETRY)
    _keep(blob, text.encode())
    return f"gs://{bucket.name}/{blob.name}"


def read(bucket: Bucket, image: str) -> Sequence[bytes]:
    """Return all results of an image ("": of all images); none if the bucket does not exist. Raises Uncertain.

    They are kept in the user's cache, which may be deleted or damaged: a copy counts only with the object's checksum.
    """
    return [content for content in _contents(_listed(bucket, f"{FOLDER}{image}/" if image else FOLDER)) if content]


def newest(bucket: Bucket, images: Collection[str]) -> Mapping[str, bytes]:
    """Map those of the images that have results to the newest one, from the same cache. Raises Uncertain."""
    folders = [f"{FOLDER}{image}" for image in images]
    last: dict[str, Blob] = {}
    for blob in _listed(bucket, f"{posixpath.commonpath(folders)}/") if folders else ():
        image = blob.name.removeprefix(FOLDER).partition("/")[0]
        if image not in last or blob.time_created >= last[image].time_created:
            last[image] = blob
    wanted = [image for image in images if image in last]
    contents = _contents([last[image] for image in wanted])
    return {image: content for image, content in zip(wanted, contents, strict=True) if content}


def _listed(bucket: Bucket, prefix: str) -> list[Blob]:
    with ignore_missing("list the results of Fluid-Runs"):
        return list(bucket.list_blobs(prefix=prefix, retry=STORAGE_RETRY))
    return []


def _contents(blobs: Iterable[Blob]) -> list[bytes | None]:
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        return list(pool.map(_content, blobs))


def _content(blob: Blob) -> bytes | None:
    with suppress(OSError):
        kept = _file(blob).read_bytes()
        if base64.b64encode(hashlib.md5(kept, usedforsecurity=False).digest()).decode() == blob.md5_hash:
            return kept
    content = fetched(blob, "read the results of a Fluid-Run")
    if content:
        _keep(blob, content)
    return content


def _keep(blob: Blob, content: bytes) -> None:
    with suppress(InfrastructureFailed):
        write_atomic(_file(blob), content, mode=0o600)


def _file(blob: Blob) -> Path:
    identity = f"{blob.bucket.name} {blob.name} {blob.generation} {blob.md5_hash}"
    return paths.cache() / "results" / hashlib.sha256(identity.encode()).hexdigest()
