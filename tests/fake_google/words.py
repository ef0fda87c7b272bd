"""How each API says that something is not there, or is there already.

The forms come from answers of the real APIs; a key is where the store keeps a resource: product, API, path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def _path(key: str) -> str:
    """The resource's name in its API: what follows the version."""
    return f"projects/{key.partition('/projects/')[2]}"


def _project(key: str) -> str:
    return "/".join(_path(key).split("/")[:2])


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _bigquery(key: str) -> str:
    """``Dataset project:dataset``, ``Table project:dataset.table``."""
    parts = _path(key).split("/")
    return f"{parts[-2].removesuffix('s').capitalize()} {parts[1]}:{'.'.join(parts[3::2])}"


def _key_kind(key: str) -> str:
    """``KeyRing``, ``CryptoKey``."""
    word = key.split("/")[-2].removesuffix("s")
    return word[0].upper() + word[1:]


def _absent_object(key: str) -> str:
    bucket, _, name = key.partition("/b/")[2].partition("/o/")
    if name:
        return f"No such object: {bucket}/{name}"
    return f"The specified {'key' if '/' in bucket else 'bucket'} does not exist."


def _absent_identity(key: str) -> str:
    return f"The role named {_path(key)} was not found." if "/roles/" in key else "Unknown service account"


def _taken_identity(key: str) -> tuple[str, str]:
    name = _name(key).partition("@")[0]
    if "/roles/" in key:
        return f"A role named {name} in {_project(key)} already exists.", "alreadyExists"
    return f"Service account {name} already exists within project {_project(key)}.", "alreadyExists"


ABSENT: Mapping[str, Callable[[str], str]] = {
    "bigquery": lambda key: f"Not found: {_bigquery(key)}",
    "cloudkms": lambda key: f"{_key_kind(key)} {_path(key)} not found.",
    "compute": lambda key: f"The resource '{_path(key)}' was not found",
    "iam": _absent_identity,
    "pubsub": lambda key: f"Resource not found (resource={_name(key) if '/topics/' in key else _path(key)}).",
    "storage": _absent_object,
}
OWN_BUCKET = "Your previous request to create the named bucket succeeded and you already own it."
SCHEDULER = "Job {} already exists."  # https://github.com/hashicorp/terraform-provider-google/issues/16918, 2024-01-08
TAKEN: Mapping[str, Callable[[str], tuple[str, str]]] = {
    "bigquery": lambda key: (f"Already Exists: {_bigquery(key)}", "duplicate"),
    "cloudscheduler": lambda key: (SCHEDULER.format(_path(key)), "alreadyExists"),
    "compute": lambda key: (f"The resource '{_path(key)}' already exists", "alreadyExists"),
    "iam": _taken_identity,
    "pubsub": lambda key: (f"Resource already exists in the project (resource={_name(key)}).", "alreadyExists"),
    "storage": lambda _key: (OWN_BUCKET, "conflict"),
}


def absent(key: str) -> str:
    """The message of a 404."""
    form = ABSENT.get(key.partition("/")[0])
    return form(key) if form else "Requested entity was not found."


def taken(key: str) -> tuple[str, str]:
    """The message of a 409 and its reason."""
    form = TAKEN.get(key.partition("/")[0])
    return form(key) if form else ("Requested entity already exists", "alreadyExists")
