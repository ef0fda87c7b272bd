"""The results of Fluid-Runs in the artifacts bucket, each read once: a stored result never changes."""

import base64
import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from google.cloud.storage import Blob, Bucket  # type: ignore[import-untyped]

from bakery import paths
from bakery.errors import InfrastructureFailed
from bakery.host.files import write_atomic
from bakery.host.google import CALLS_AT_ONCE, STORAGE_RETRY, fetched, ignore_missing


def read(bucket: Bucket, prefix: str) -> Sequence[bytes]:
    """Return the contents of all objects below ``prefix``; none if the bucket does not exist. Raises Uncertain.

    They are kept in the user's cache, which may be deleted or damaged: a copy counts only with the object's checksum.
    """
    blobs: list[Blob] = []
    with ignore_missing("list the results of Fluid-Runs"):
        blobs = list(bucket.list_blobs(prefix=prefix, retry=STORAGE_RETRY))
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        return [content for content in pool.map(_content, blobs) if content]


def _content(blob: Blob) -> bytes | None:
    file = _file(blob)
    with suppress(OSError):
        kept = file.read_bytes()
        if base64.b64encode(hashlib.md5(kept, usedforsecurity=False).digest()).decode() == blob.md5_hash:
            return kept
    content = fetched(blob, "read the results of a Fluid-Run")
    if content:
        with suppress(InfrastructureFailed):
            write_atomic(file, content, mode=0o600)
    return content


def _file(blob: Blob) -> Path:
    identity = f"{blob.bucket.name} {blob.name} {blob.generation} {blob.md5_hash}"
    return paths.cache() / "results" / hashlib.sha256(identity.encode()).hexdigest()
