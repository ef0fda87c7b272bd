"""What stacks want: empty objects ``wants/<family>/<project>/<stack>`` in the artifacts bucket.

Image and token are the object's metadata, which come with the list of objects.
"""

from google.cloud.storage import Bucket  # type: ignore[import-untyped]

from bakery.host.google import STORAGE_RETRY, TIMEOUT_SECONDS, api_errors, ignore_missing
from bakery.library.base import Want


def put(bucket: Bucket, want: Want) -> None:
    """Store what a stack wants. Raises BakeryError, Uncertain."""
    with api_errors(f"register that {want.stack} wants {want.image}"):
        blob = bucket.blob(f"wants/{want.family}/{want.stack}")
        blob.metadata = {"image": want.image, "token": want.token}
        blob.upload_from_string(b"", retry=STORAGE_RETRY)


def listed(bucket: Bucket, family: str = "") -> list[Want]:
    """Return what all stacks want of the family or, without one, of all families. Raises Uncertain."""
    prefix = f"wants/{family}/" if family else "wants/"
    with ignore_missing("list what the stacks want"):
        blobs = bucket.list_blobs(prefix=prefix, retry=STORAGE_RETRY)
        names = [(*blob.name.split("/", 2)[1:], blob.metadata or {}) for blob in blobs]
        return [Want(stack, of, data.get("image", ""), data.get("token", "")) for of, stack, data in names]
    return []


def drop(bucket: Bucket, stack: str, family: str, token: str) -> bool:
    """Delete what the stack wants if the token is right; return whether no stack wants the family now."""
    wants = listed(bucket, family)
    mine = [want for want in wants if (want.stack, want.token) == (stack, token)]
    for want in mine:
        with ignore_missing(f"withdraw that {stack} wants {want.image}"):
            bucket.blob(f"wants/{family}/{stack}").delete(retry=STORAGE_RETRY, timeout=TIMEOUT_SECONDS)
    return len(wants) == len(mine)
