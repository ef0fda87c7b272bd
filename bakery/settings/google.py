"""The settings of a gcp stack and their checks, and the names of everything that the bakery has on Google Cloud.

:mod:`bakery.infrastructure` declares these resources; ovens, library and Fluid-Run use them. All of them take the names
from :class:`GoogleSettings`, so they agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple

from bakery.settings.reader import Reader

PREFIX = "bakery"  # of all names, unless the settings have another one
DATASET = "rcc_run"
TABLE = "app_runs"
ROLE_LENGTH = 64  # of a custom role's name: https://cloud.google.com/iam/docs/reference/rest/v1/projects.roles/create
LONGEST_ROLE = "bakeryLibrarian"
BUCKET_LENGTH = 63  # of a bucket's name without dots
BAKE = "bake-"  # prefix of the name of a machine that bakes and of its disk; the id of the build follows
SSH_TAG = "image-bakery"  # network tag of a machine that IAP may reach with ssh
TEST_TAG = "bakery-test"  # network tag of test machines, which reach each other
LONGEST_BUILD = 86_400  # seconds, Cloud Build's limit
# Patterns of values, compiled when there is a value: a local stack has none of them, and compiling takes milliseconds.
PROJECT_NUMBER = r"\d{6,}"
ACCOUNT = r"[a-z0-9][-a-z0-9.]*@[a-z0-9][-a-z0-9.]*\.gserviceaccount\.com"
SECOND_GENERATION = (
    r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)/connections/(?P<name>[^/]+)/repositories/[^/]+"
)
# The letters of the zones where a region does not have a, b and c:
# https://cloud.google.com/compute/docs/regions-zones
_ZONES = {"us-central1": "abcf", "us-east1": "bcd", "europe-west1": "bcd"}

# https://cloud.google.com/storage/docs/buckets#naming
_BUCKET = r"[a-z0-9][-a-z0-9_.]{1,220}[a-z0-9]"
# Members of an IAM policy, https://cloud.google.com/iam/docs/principal-identifiers, without allUsers and
# allAuthenticatedUsers: a typing mistake must not share images with the public.
_MEMBER = r"(?:user|group|serviceAccount):\S+@\S+|domain:\S+\.\S+|principal(?:Set)?://\S+"

# What a stack that uses another one's infrastructure sets itself.
_OWN = ("prefix", "zones", "consumers", "storageLocation", "infrastructure")

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
    "roleSuffix": (r"[A-Za-z0-9_.]{0,40}", "letters, digits, dots and underscores"),
    "registry": (r"[a-z](?:[-a-z0-9]*[a-z0-9])?", "the id of an Artifact Registry repository"),
    "table": (r"\w+\.[-\w]+", "DATASET.TABLE"),
    "topic": (r"[A-Za-z][-\w.~+%]{2,254}", "the name of a Pub/Sub topic"),
    "subnetwork": (
        r"projects/[^/]+/regions/[^/]+/subnetworks/[^/]+",
        "projects/P/regions/R/subnetworks/S",
    ),
}


class Bucket(StrEnum):
    """The purpose of a bucket."""

    SOURCES = "sources"
    LOGS = "logs"
    ARTIFACTS = "artifacts"
    SPACK_CACHE = "spack-cache"


class Duty(StrEnum):
    """The duty of a service account."""

    BUILDER = "builder"
    BAKE = "bake"
    MACHINE = "machine"
    TEST = "test"
    TRIGGER = "trigger"
    DEPLOY = "deploy"


class Connection(NamedTuple):
    """A connection of Cloud Build to a host of repositories; second-generation repositories belong to one."""

    project: str
    location: str
    name: str


def member(consumer: str) -> str:
    """Return a consumer as an IAM policy names it; a project number means all service accounts of that project."""
    if re.fullmatch(PROJECT_NUMBER, consumer):
        return f"principalSet://cloudresourcemanager.googleapis.com/projects/{consumer}/type/ServiceAccount"
    return f"serviceAccount:{consumer}" if re.fullmatch(ACCOUNT, consumer) else consumer


@dataclass(frozen=True)
class GoogleSettings:
    """What the gcp stack needs; an empty string means that the stack creates it. See docs/settings.md."""

    project: str = ""
    prefix: str = ""
    region: str = ""
    zones: tuple[str, ...] = ()
    network: str = ""
    subnetwork: str = ""
    buckets: Mapping[str, str] = field(default_factory=dict)
    accounts: Mapping[str, str] = field(default_factory=dict)
    table: str = ""
    topic: str = ""
    registry: str = ""
    kms_key: str = ""
    repository: str = ""
    branch: str = "main"
    triggers_region: str = ""
    role_suffix: str = ""
    os_login: bool = False
    consumers: tuple[str, ...] = ()
    storage_location: str = ""
    schedule: str = "0 4 * * 1"
    endpoint: str = ""
    infrastructure: str = ""

    @property
    def connection(self) -> Connection | None:
        """The connection that a second-generation ``repository`` belongs to; None for ``owner/name``."""
        match = re.fullmatch(SECOND_GENERATION, self.repository)
        return Connection(**match.groupdict()) if match else None

    def named(self, what: str = "") -> str:
        """Return the name of a resource: ``<prefix>-<what>``, or the prefix."""
        return "-".join(filter(None, (self.prefix or PREFIX, what)))

    @property
    def dataset(self) -> str:
        """The id of the BigQuery dataset, which has no ``-``."""
        return f"{self.prefix.replace('-', '_')}_{DATASET}" if self.prefix else DATASET

    def role(self, role: str) -> str:
        """Return the id of a custom role, which has no ``-``."""
        mine = f"{role}_{self.prefix.replace('-', '_')}" if self.prefix else role
        return f"{mine}{self.role_suffix}"

    def bucket(self, purpose: Bucket) -> str:
        """Return the name of a bucket. Bucket names are global, so a default one contains the project.

        That of a domain (``example.com:p``) has characters that a bucket's name can't have.
        """
        return self.buckets.get(purpose) or f"{re.sub('[:.]', '-', self.project)}-{self.named(purpose)}"

    def account(self, duty: Duty) -> str:
        """Return the e-mail address of a service account."""
        domain, _, project = self.project.rpartition(":")
        name = f"{project}.{domain}" if domain else project
        return self.accounts.get(duty) or f"{self.named(duty)}@{name}.iam.gserviceaccount.com"

    def stored_in(self, zone: str = "") -> str:
        """Return where an image is stored that is made in a zone; without one, an image that is made from another.

        Otherwise Google chooses a multi-region, which a policy on locations or a key of one region may refuse.
        """
        return self.storage_location or zone.rpartition("-")[0] or self.region

    def inside(self, other: GoogleSettings) -> GoogleSettings:
        """Return the settings of a stack that uses the infrastructure of a stack with the settings ``other``."""
        return replace(
            other,
            prefix=self.prefix,
            zones=self.zones or other.zones,
            consumers=self.consumers,
            storage_location=self.storage_location or other.storage_location,
            infrastructure=self.infrastructure,
            subnetwork=other.subnetwork_path,
            buckets={purpose: other.bucket(purpose) for purpose in Bucket},
            accounts={duty: other.account(duty) for duty in Duty},
            table=other.table_id.removeprefix(f"{other.project}."),
            topic=other.topic_path.rpartition("/")[2],
            registry=other.registry_id,
            repository="",  # the triggers are the other stack's
        )

    @property
    def subnetwork_path(self) -> str:
        """The subnetwork of imaging and test machines, as a path."""
        return self.subnetwork or f"projects/{self.project}/regions/{self.region}/subnetworks/{self.named()}"

    @property
    def topic_path(self) -> str:
        """The Pub/Sub topic of the bakery's events, as a path."""
        return f"projects/{self.project}/topics/{self.topic or self.named('events')}"

    @property
    def table_id(self) -> str:
        """The BigQuery table of the results: ``project.dataset.table``."""
        return f"{self.project}.{self.table or f'{self.dataset}.{TABLE}'}"

    @property
    def registry_id(self) -> str:
        """The id of the Artifact Registry repository of the builder image."""
        return self.registry or self.named()

    @property
    def bake_zones(self) -> tuple[str, ...]:
        """The zones to bake and test in, in order of preference."""
        return self.zones or tuple(f"{self.region}-{letter}" for letter in _ZONES.get(self.region, "abc"))

    @property
    def consumer_members(self) -> tuple[str, ...]:
        """Who may boot from promoted images, as IAM names them, sorted."""
        return tuple(sorted({member(consumer) for consumer in self.consumers}))


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
        schedule=reader.text("schedule", "0 4 * * 1"),
        endpoint=reader.text("endpoint"),
        infrastructure=reader.text("infrastructure"),
    )
    _check_names(reader, settings)
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
            google.wrong(key, f"is set, but the infrastructure is that of the stack {other}", "remove one of both")
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


def _check_names(google: Reader, settings: GoogleSettings) -> None:
    """Note the created names that are too long."""
    names = [settings.bucket(purpose) for purpose in Bucket if not settings.buckets.get(purpose)]
    for name in names:
        if len(name) > BUCKET_LENGTH:
            hint = "shorten it, or set google.buckets"
            google.wrong("prefix", f"makes the bucket's name {name}, and {BUCKET_LENGTH} characters are allowed", hint)
    role = settings.role(LONGEST_ROLE)
    if len(role) > ROLE_LENGTH:
        google.wrong(
            "roleSuffix", f"makes the role's name {role}, and {ROLE_LENGTH} characters are allowed", "shorten it"
        )
