"""The settings of a gcp stack, and the names of everything that the bakery has on Google Cloud.

:mod:`bakery.infrastructure` declares these resources; ovens, library and Fluid-Run use them. All of them take the names
from :class:`GoogleSettings`, so they agree.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

DATASET = "rcc_run"
TABLE = "app_runs"
TOPIC = "bakery-events"
NETWORK = "bakery"
REPOSITORY = "bakery"
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


def account_id(duty: Duty) -> str:
    """Return the id of the service account that the bakery creates for a duty: 6 to 30 characters."""
    return f"bakery-{duty}"


def member(consumer: str) -> str:
    """Return a consumer as an IAM policy names it; a project number means all service accounts of that project."""
    if re.fullmatch(PROJECT_NUMBER, consumer):
        return f"principalSet://cloudresourcemanager.googleapis.com/projects/{consumer}/type/ServiceAccount"
    return f"serviceAccount:{consumer}" if re.fullmatch(ACCOUNT, consumer) else consumer


@dataclass(frozen=True)
class GoogleSettings:
    """What the gcp stack needs; an empty string means that the stack creates it. See docs/settings.md."""

    project: str = ""
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
    consumers: tuple[str, ...] = ()
    schedule: str = "0 4 * * 1"
    endpoint: str = ""

    @property
    def connection(self) -> Connection | None:
        """The connection that a second-generation ``repository`` belongs to; None for ``owner/name``."""
        match = re.fullmatch(SECOND_GENERATION, self.repository)
        return Connection(**match.groupdict()) if match else None

    def bucket(self, purpose: Bucket) -> str:
        """Return the name of a bucket. Bucket names are global, so a default one contains the project."""
        return self.buckets.get(purpose) or f"{self.project}-bakery-{purpose}"

    def account(self, duty: Duty) -> str:
        """Return the e-mail address of a service account."""
        return self.accounts.get(duty) or f"{account_id(duty)}@{self.project}.iam.gserviceaccount.com"

    @property
    def subnetwork_path(self) -> str:
        """The subnetwork of imaging and test machines, as a path."""
        return self.subnetwork or f"projects/{self.project}/regions/{self.region}/subnetworks/{NETWORK}"

    @property
    def topic_path(self) -> str:
        """The Pub/Sub topic of the bakery's events, as a path."""
        return f"projects/{self.project}/topics/{self.topic or TOPIC}"

    @property
    def table_id(self) -> str:
        """The BigQuery table of the results: ``project.dataset.table``."""
        return f"{self.project}.{self.table or f'{DATASET}.{TABLE}'}"

    @property
    def registry_id(self) -> str:
        """The id of the Artifact Registry repository of the builder image."""
        return self.registry or REPOSITORY

    @property
    def bake_zones(self) -> tuple[str, ...]:
        """The zones to bake and test in, in order of preference."""
        return self.zones or tuple(f"{self.region}-{letter}" for letter in _ZONES.get(self.region, "abc"))

    @property
    def consumer_members(self) -> tuple[str, ...]:
        """Who may boot from promoted images, as IAM names them, sorted."""
        return tuple(sorted({member(consumer) for consumer in self.consumers}))
