"""What a gcp stack is made of, in one word each, and what its settings have to look like."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

from bakery.settings.reader import Reader


class Bucket(StrEnum):
    """What a bucket is for."""

    SOURCES = "sources"
    LOGS = "logs"
    ARTIFACTS = "artifacts"
    SPACK_CACHE = "spack-cache"


class Duty(StrEnum):
    """What a service account does."""

    BUILDER = "builder"
    BAKE = "bake"
    MACHINE = "machine"
    TEST = "test"
    TRIGGER = "trigger"
    DEPLOY = "deploy"


@dataclass(frozen=True)
class Connection:
    """Cloud Build's connection to a host of repositories; those of the second generation belong to one."""

    project: str
    location: str
    name: str

    @classmethod
    def of(cls, repository: str) -> Connection | None:
        """That of a second-generation repository, by the repository's path; None for ``owner/name``."""
        found = _SECOND_GENERATION.fullmatch(repository)
        return cls(**found.groupdict()) if found else None


LONGEST_BUILD = 86_400  # seconds, Cloud Build's limit
PROJECT_NUMBER = re.compile(r"\d{6,}")
ACCOUNT = re.compile(r"[a-z0-9][-a-z0-9.]*@[a-z0-9][-a-z0-9.]*\.gserviceaccount\.com")
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = re.compile(r"[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]")
# As an IAM policy takes members: https://cloud.google.com/iam/docs/principal-identifiers. Nobody shares with everybody
# by a slip, so allUsers and allAuthenticatedUsers are none.
_MEMBER = re.compile(r"(?:user|group|serviceAccount):\S+@\S+|domain:\S+\.\S+|principal(?:Set)?://\S+")
_SECOND_GENERATION = re.compile(
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/connections/(?P<name>[^/]+)/repositories/[^/]+"
)

# Key to its form and what to write; an empty value is fine everywhere.
FORMS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "project": (re.compile(r"(?:[a-z0-9.-]+:)?[a-z](?:[-a-z0-9]*[a-z0-9])?"), "the project's id, as my-project"),
    "region": (re.compile(r"[a-z]+(?:-[a-z]+)*\d*"), "a region, as us-central1"),
    "kmsKey": (
        re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+"),
        "projects/P/locations/L/keyRings/R/cryptoKeys/K",
    ),
    "repository": (
        re.compile(rf"[^/\s]+/[^/\s]+|{_SECOND_GENERATION.pattern}"),
        "owner/name, or projects/P/locations/L/connections/C/repositories/R",
    ),
    "registry": (re.compile(r"[a-z](?:[-a-z0-9]*[a-z0-9])?"), "the id of an Artifact Registry repository"),
    "table": (re.compile(r"\w+\.[-\w]+"), "DATASET.TABLE"),
    "topic": (re.compile(r"[A-Za-z][-\w.~+%]{2,254}"), "the name of a Pub/Sub topic"),
    "subnetwork": (
        re.compile(r"projects/[^/]+/regions/[^/]+/subnetworks/[^/]+"),
        "projects/P/regions/R/subnetworks/S",
    ),
}


def check(google: Reader) -> None:
    """Note every setting below ``google`` that can't be right."""
    for key, (form, hint) in FORMS.items():
        value = google.text(key)
        if value and not form.fullmatch(value):
            google.wrong(key, f"is {value!r}", f"write {hint}")
    _keys(google, "buckets", [*Bucket])
    for purpose, bucket in google.mapping("buckets").items():
        if bucket and not _BUCKET.fullmatch(str(bucket)):
            google.wrong(f"buckets.{purpose}", f"is {bucket!r}", "write the bucket's name, without gs://")
    _keys(google, "accounts", [*Duty])
    for duty, account in google.mapping("accounts").items():
        if account and not ACCOUNT.fullmatch(str(account)):
            google.wrong(f"accounts.{duty}", f"is {account!r}", "write the service account's e-mail address")
    region = google.text("subnetwork").partition("/regions/")[2].partition("/")[0] or google.text("region")
    for zone in google.words("zones"):
        if region and not re.fullmatch(rf"{re.escape(region)}-[a-z0-9]+", zone):
            google.wrong("zones", f"has {zone!r}", f"write zones of {region}, where the machines' subnetwork is")
    for consumer in google.words("consumers"):
        if not any(form.fullmatch(consumer) for form in (PROJECT_NUMBER, ACCOUNT, _MEMBER)):
            hint = "write a project's number, group:..., serviceAccount:..., user:..., domain:... or principalSet://..."
            google.wrong("consumers", f"has {consumer!r}", hint)


def _keys(google: Reader, key: str, known: Collection[str]) -> None:
    for name in google.mapping(key):
        if name not in known:
            google.wrong(f"{key}.{name}", "is nothing that the bakery has", f"known: {', '.join(known)}")


def member(consumer: str) -> str:
    """Who may boot from the images, as an IAM policy names them: of a project, all of its service accounts."""
    if PROJECT_NUMBER.fullmatch(consumer):
        return f"principalSet://cloudresourcemanager.googleapis.com/projects/{consumer}/type/ServiceAccount"
    return f"serviceAccount:{consumer}" if ACCOUNT.fullmatch(consumer) else consumer
