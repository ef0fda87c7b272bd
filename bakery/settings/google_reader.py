"""Reads the settings of a gcp stack: the form of each value, and the lengths of the names that they make."""

from __future__ import annotations

import re
from collections.abc import Mapping

from bakery.settings import ci, copies, rdma
from bakery.settings.google import (
    ACCOUNT,
    PROJECT_NUMBER,
    SECOND_GENERATION,
    Bucket,
    Duty,
    GoogleSettings,
)
from bakery.settings.reader import Reader

ROLE_LENGTH = 64  # of a custom role's name: https://cloud.google.com/iam/docs/reference/rest/v1/projects.roles/create
LONGEST_ROLE = "bakeryLibrarian"
POOL_LENGTH = 32  # of a workload identity pool's id
BUCKET_LENGTH = 63  # of a bucket's name without dots
# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = r"[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]"
# Members of an IAM policy, https://cloud.google.com/iam/docs/principal-identifiers, without allUsers and
# allAuthenticatedUsers: a typing mistake must not share images with the public.
_MEMBER = r"(?:user|group|serviceAccount):\S+@\S+|domain:\S+\.\S+|principal(?:Set)?://\S+"
# What a stack that uses another one's infrastructure sets itself.
_OWN = (
    *("prefix", "zones", "consumers", "storageLocation", "copies", "infrastructure", "bakesAtOnce", "testsAtOnce"),
    *("spot", "labels"),
)

# https://cloud.google.com/compute/docs/labeling-resources#requirements
_LABEL = re.compile(r"(?!bakery)[a-z][-_a-z0-9]{0,62}=[-_a-z0-9]{0,63}")

# Key: its form, and what to write. Every value may be empty.
FORMS: Mapping[str, tuple[str, str]] = {
    "project": (r"(?:[a-z0-9.-]+:)?[a-z](?:[-a-z0-9]*[a-z0-9])?", "the project's id, as my-project"),
    # An account's name has 30 characters at most, and the longest duty 7.
    "prefix": (r"[a-z](?:[-a-z0-9]{0,20}[a-z0-9])?", "at most 22 lower-case letters, digits and -, as dev"),
    "region": (r"[a-z]+(?:-[a-z]+)*\d*", "a region, as us-central1"),
    "storageLocation": (r"[a-z]+(?:-[a-z]+)*\d*", "a region or a multi-region, as us-central1 or us"),
    "kmsKey": (
        r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+",
        "projects/P/locations/L/keyRings/R/cryptoKeys/K",
    ),
    "repository": (
        rf"[^/\s]+/[^/\s]+|{SECOND_GENERATION}",
        "owner/name, or projects/P/locations/L/connections/C/repositories/R",
    ),
    "triggersRegion": (r"[a-z]+(?:-[a-z]+)*\d*", "a region, as us-central1, or global"),
    "workerPool": (r"projects/[^/]+/locations/[^/]+/workerPools/[^/]+", "projects/P/locations/R/workerPools/W"),
    "roleSuffix": (r"[A-Za-z0-9_.]{0,40}", "letters, digits, dots and underscores"),
    "registry": (r"[a-z](?:[-a-z0-9]*[a-z0-9])?", "the id of an Artifact Registry repository"),
    "table": (r"\w+\.[-\w]+", "DATASET.TABLE"),
    "topic": (r"[A-Za-z][-\w.~+%]{2,254}", "the name of a Pub/Sub topic"),
    "subnetwork": (
        r"projects/[^/]+/regions/[^/]+/subnetworks/[^/]+",
        "projects/P/regions/R/subnetworks/S",
    ),
}


def read(reader: Reader) -> GoogleSettings:
    """Return the settings below ``google``; every invalid one becomes a problem."""
    _check(reader)
    settings = GoogleSettings(
        project=reader.text("project"),
        prefix=reader.text("prefix"),
        region=reader.text("region"),
        zones=reader.words("zones"),
        network=reader.text("network"),
        subnetwork=reader.text("subnetwork"),
        buckets=reader.mapping("buckets"),
        accounts=reader.mapping("accounts"),
        table=reader.text("table"),
        topic=reader.text("topic"),
        registry=reader.text("registry"),
        kms_key=reader.text("kmsKey"),
        repository=reader.text("repository"),
        branch=reader.text("branch", "main"),
        triggers_region=reader.text("triggersRegion"),
        role_suffix=reader.text("roleSuffix"),
        os_login=reader.flag("osLogin", False),
        consumers=reader.words("consumers"),
        storage_location=reader.text("storageLocation"),
        copies=copies.read(reader, FORMS),
        rdma_networks=rdma.read(reader),
        schedule=reader.text("schedule", "0 4 * * 1"),
        endpoint=reader.text("endpoint"),
        infrastructure=reader.text("infrastructure"),
        ci=ci.read(reader.group("ci"), reader.text("branch", "main")),
        takers=reader.words("takers"),
        worker_pool=reader.text("workerPool"),
        bakes_at_once=reader.count("bakesAtOnce", 0),
        tests_at_once=reader.count("testsAtOnce", 0),
        spot=reader.flag("spot", False),
        labels=_labels(reader),
    )
    _check_names(reader, settings)
    if settings.repository and settings.build_region not in ("", settings.triggers_location):
        message = f"is in {settings.build_region}, and the triggers are in {settings.triggers_location}"
        reader.wrong("workerPool", message, "name a pool of their region, or set google.triggersRegion")
    return settings


def _check(google: Reader) -> None:
    """Note every invalid setting below ``google``: the form of each value, and the keys of the mappings."""
    for key, (form, hint) in FORMS.items():
        value = google.text(key)
        if value and not re.fullmatch(form, value):
            google.wrong(key, f"is {value!r}", f"write {hint}")
    _mapping(google, "buckets", Bucket, _BUCKET, "the bucket's name, without gs://")
    _mapping(google, "accounts", Duty, ACCOUNT, "the service account's e-mail address")
    if other := google.text("infrastructure"):
        for key in sorted(google.values.keys() - set(_OWN)):
            google.wrong(key, f"is set, but the infrastructure is that of the stack {other}", "remove one of them")
    region = google.text("subnetwork").partition("/regions/")[2].partition("/")[0] or google.text("region")
    for zone in google.words("zones"):
        if region and not re.fullmatch(rf"{re.escape(region)}-[a-z0-9]+", zone):
            google.wrong("zones", f"has {zone!r}", f"write zones of {region}, where the machines' subnetwork is")
    for key in ("consumers", "takers"):
        for member in google.words(key):
            if not any(re.fullmatch(form, member) for form in (PROJECT_NUMBER, ACCOUNT, _MEMBER)):
                hint = (
                    "write a project's number, group:..., serviceAccount:..., user:..., domain:..., principalSet://..."
                )
                google.wrong(key, f"has {member!r}", hint)


def _mapping(google: Reader, key: str, known: type[Bucket | Duty], form: str, what: str) -> None:
    group = google.group(key)
    for name in known:
        value = group.text(name)
        if value and not re.fullmatch(form, value):
            group.wrong(name, f"is {value!r}", f"write {what}")
    group.done()


def _check_names(google: Reader, settings: GoogleSettings) -> None:
    """Note the created names that are too long."""
    names = [settings.bucket(purpose) for purpose in Bucket if not settings.buckets.get(purpose)]
    for name in names:
        if len(name) > BUCKET_LENGTH:
            hint = "shorten it, or set google.buckets"
            google.wrong("prefix", f"makes the bucket's name {name}, and {BUCKET_LENGTH} characters are allowed", hint)
    if settings.ci and len(settings.pool) > POOL_LENGTH:
        message = f"makes the pool's name {settings.pool}, and {POOL_LENGTH} characters are allowed"
        google.wrong("roleSuffix", message, "shorten it or google.prefix")
    role = settings.role(LONGEST_ROLE)
    if len(role) > ROLE_LENGTH:
        google.wrong(
            "roleSuffix", f"makes the role's name {role}, and {ROLE_LENGTH} characters are allowed", "shorten it"
        )


def _labels(reader: Reader) -> Mapping[str, str]:
    """Return the stack's own labels of machines, disks and images."""
    found = reader.texts("labels")
    for key, value in found.items():
        if not _LABEL.fullmatch(f"{key}={value}"):
            hint = "write lower-case letters, digits, - and _, at most 63 each; bakery... are labels of the bakery"
            reader.wrong(f"labels.{key}", f"is {value!r}", hint)
    return found
