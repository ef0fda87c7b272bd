"""Revocations: empty objects ``revocations/<image>/<cause>`` in the artifacts bucket, with the rest as metadata."""

from google.cloud.storage import Bucket  # type: ignore[import-untyped]

from bakery import settings
from bakery.host.batches import Batches
from bakery.host.google import STORAGE_RETRY, TIMEOUT_SECONDS, Google, api_errors, ignore_missing
from bakery.library.base import Revocation


class Revocations:
    """Reads the revocations with one request for all threads that ask for them at the same time."""

    def __init__(self, google: Google) -> None:
        bucket = google.storage.bucket(google.settings.bucket(settings.Bucket.ARTIFACTS))
        self._reads: Batches[None, list[Revocation]] = Batches(lambda asked: [listed(bucket)] * len(asked))

    def listed(self) -> list[Revocation]:
        """Return all revocations, see :func:`listed`."""
        return self._reads.get(None)


def put(bucket: Bucket, one: Revocation) -> None:
    """Store a revocation. Raises BakeryError, Uncertain."""
    with api_errors(f"record the revocation of {one.image}"):
        blob = bucket.blob(f"revocations/{one.image}/{one.cause}")
        blob.metadata = {"reason": one.reason, "at": one.at, "recorded": one.recorded}
        blob.upload_from_string(b"", retry=STORAGE_RETRY)


def listed(bucket: Bucket) -> list[Revocation]:
    """Return all revocations; none if the bucket does not exist. Raises Uncertain."""
    with ignore_missing("list the revocations"):
        blobs = bucket.list_blobs(prefix="revocations/", retry=STORAGE_RETRY)
        return [Revocation(*blob.name.split("/")[1:3], **(blob.metadata or {})) for blob in blobs]
    return []


def drop(bucket: Bucket, cause: str) -> list[str]:
    """Delete the revocations with this cause; return the names of the images. Raises Uncertain."""
    dropped = [one.image for one in listed(bucket) if one.cause == cause]
    for image in dropped:
        with ignore_missing(f"withdraw the revocation of {image}"):
            bucket.blob(f"revocations/{image}/{cause}").delete(retry=STORAGE_RETRY, timeout=TIMEOUT_SECONDS)
    return dropped
