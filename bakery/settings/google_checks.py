"""Checks of the settings below ``google``: the form of each value, and the keys of the mappings."""

import re
from collections.abc import Mapping

from bakery.settings.google import ACCOUNT, PROJECT_NUMBER, SECOND_GENERATION, Bucket, Duty
from bakery.settings.reader import Reader

# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = r"[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]"
# Members of an IAM policy, https://cloud.google.com/iam/docs/principal-identifiers, without allUsers and
# allAuthenticatedUsers: a typing mistake must not share images with the public.
_MEMBER = r"(?:user|group|serviceAccount):\S+@\S+|domain:\S+\.\S+|principal(?:Set)?://\S+"

# Key: its form, and what to write. Every value may be empty.
FORMS: Mapping[str, tuple[str, str]] = {
    "project": (r"(?:[a-z0-9.-]+:)?[a-z](?:[-a-z0-9]*[a-z0-9])?", "the project's id, as my-project"),
    "region": (r"[a-z]+(?:-[a-z]+)*\d*", "a region, as us-central1"),
    "kmsKey": (
        r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+",
        "projects/P/locations/L/keyRings/R/cryptoKeys/K",
    ),
    "repository": (
        rf"[^/\s]+/[^/\s]+|{SECOND_GENERATION}",
        "owner/name, or projects/P/locations/L/connections/C/repositories/R",
    ),
    "registry": (r"[a-z](?:[-a-z0-9]*[a-z0-9])?", "the id of an Artifact Registry repository"),
    "table": (r"\w+\.[-\w]+", "DATASET.TABLE"),
    "topic": (r"[A-Za-z][-\w.~+%]{2,254}", "the name of a Pub/Sub topic"),
    "subnetwork": (
        r"projects/[^/]+/regions/[^/]+/subnetworks/[^/]+",
        "projects/P/regions/R/subnetworks/S",
    ),
}


def check_google(google: Reader) -> None:
    """Note every invalid setting below ``google``."""
    for key, (form, hint) in FORMS.items():
        value = google.text(key)
        if value and not re.fullmatch(form, value):
            google.wrong(key, f"is {value!r}", f"write {hint}")
    _mapping(google, "buckets", Bucket, _BUCKET, "the bucket's name, without gs://")
    _mapping(google, "accounts", Duty, ACCOUNT, "the service account's e-mail address")
    region = google.text("subnetwork").partition("/regions/")[2].partition("/")[0] or google.text("region")
    for zone in google.words("zones"):
        if region and not re.fullmatch(rf"{re.escape(region)}-[a-z0-9]+", zone):
            google.wrong("zones", f"has {zone!r}", f"write zones of {region}, where the machines' subnetwork is")
    for consumer in google.words("consumers"):
        if not any(re.fullmatch(form, consumer) for form in (PROJECT_NUMBER, ACCOUNT, _MEMBER)):
            hint = "write a project's number, group:..., serviceAccount:..., user:..., domain:... or principalSet://..."
            google.wrong("consumers", f"has {consumer!r}", hint)


def _mapping(google: Reader, key: str, known: type[Bucket | Duty], form: str, what: str) -> None:
    group = google.group(key)
    for name in known:
        value = group.text(name)
        if value and not re.fullmatch(form, value):
            group.wrong(name, f"is {value!r}", f"write {what}")
    group.done()
