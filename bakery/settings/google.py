"""The settings of a gcp stack, and the names of everything that the bakery has on Google Cloud.

:mod:`bakery.infrastructure` declares these resources; ovens, library and Fluid-Run use them. All of them take the names
from :class:`GoogleSettings`, so they agree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from bakery.settings.copies import Copies
from bakery.settings.rdma import RdmaNetwork

PREFIX = "bakery"  # of all names, unless the settings have another one
DATASET = "rcc_run"
TABLE = "app_runs"
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


class CiHost(StrEnum):
    """Where the repository is whose CI may run ``pulumi up``.

    ``issuer`` makes the tokens of its jobs, ``claim`` is the claim of a token that names the repository.
    """

    issuer: str
    claim: str

    GITHUB = "github", "https://token.actions.githubusercontent.com", "repository"
    GITLAB = "gitlab", "https://gitlab.com", "project_path"

    def __new__(cls, value: str, issuer: str, claim: str) -> CiHost:
        """Return the member for ``value``, with its facts."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.issuer, member.claim = issuer, claim
        return member


class CiSettings(NamedTuple):
    """The CI of one repository; an empty ``environment`` is not asked for."""

    host: CiHost
    repository: str
    branch: str
    environment: str
    issuer: str

    @property
    def condition(self) -> str:
        """The condition that a token has to fit, in CEL.

        GitHub runs the jobs of a ``pull_request_target`` on the branch itself, for requests of any account.
        """
        on_github = self.host is CiHost.GITHUB
        wanted = {self.host.claim: self.repository}
        wanted |= {"ref": f"refs/heads/{self.branch}"} if on_github else {"ref": self.branch, "ref_type": "branch"}
        wanted |= {"environment": self.environment} if self.environment else {}
        parts = [f"assertion.{claim} == '{value}'" for claim, value in wanted.items()]
        parts += ["assertion.event_name != 'pull_request_target'"] if on_github else []
        return " && ".join(parts)


def member(consumer: str) -> str:
    """Return a consumer as an IAM policy names it; a project number means all service accounts of that project."""
    if re.fullmatch(PROJECT_NUMBER, consumer):
        return f"principalSet://cloudresourcemanager.googleapis.com/projects/{consumer}/type/ServiceAccount"
    return f"serviceAccount:{consumer}" if re.fullmatch(ACCOUNT, consumer) else consumer


class GoogleSettings(NamedTuple):
    """What the gcp stack needs; an empty string means that the stack creates it. See docs/settings.md."""

    project: str = ""
    prefix: str = ""
    region: str = ""
    zones: tuple[str, ...] = ()
    network: str = ""
    subnetwork: str = ""
    buckets: Mapping[str, str] = MappingProxyType({})
    accounts: Mapping[str, str] = MappingProxyType({})
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
    copies: Mapping[str, Copies] = MappingProxyType({})
    rdma_networks: Mapping[str, RdmaNetwork] = MappingProxyType({})
    schedule: str = "0 4 * * 1"
    endpoint: str = ""
    infrastructure: str = ""
    ci: CiSettings | None = None
    takers: tuple[str, ...] = ()
    worker_pool: str = ""
    bakes_at_once: int = 0
    tests_at_once: int = 0
    spot: bool = False
    labels: Mapping[str, str] = MappingProxyType({})

    @property
    def build_region(self) -> str:
        """The region of the private pool, where all builds are then; empty for global builds."""
        return self.worker_pool.partition("/locations/")[2].partition("/")[0]

    @property
    def connection(self) -> Connection | None:
        """The connection that a second-generation ``repository`` belongs to; None for ``owner/name``."""
        match = re.fullmatch(SECOND_GENERATION, self.repository)
        return Connection(**match.groupdict()) if match else None

    @property
    def triggers_location(self) -> str:
        """The region of the triggers: a second-generation repository works only with those of its own region."""
        return self.connection.location if self.connection else self.triggers_region or self.region

    def named(self, what: str = "") -> str:
        """Return the name of a resource: ``<prefix>-<what>``, or the prefix."""
        return "-".join(filter(None, (self.prefix or PREFIX, what)))

    @property
    def dataset(self) -> str:
        """The id of the BigQuery dataset, which has no ``-``."""
        return f"{self.prefix.replace('-', '_')}_{DATASET}" if self.prefix else DATASET

    def machine_labels(self, work: str, recipe: str) -> dict[str, str]:
        """Return the labels of a machine and of its disk, for costs; ``work`` is bake or test.

        Recipe and prefix have the same labels as images.
        """
        own = {"bakery": work, "bakery-recipe": re.sub("[^a-z0-9_-]", "-", recipe.lower())[:63]}
        return {**self.labels, **own, **({"bakery-prefix": self.prefix} if self.prefix else {})}

    def role(self, role: str) -> str:
        """Return the id of a custom role, which has no ``-``."""
        mine = f"{role}_{self.prefix.replace('-', '_')}" if self.prefix else role
        return f"{mine}{self.role_suffix}"

    @property
    def pool(self) -> str:
        """The id of the workload identity pool of CI; a deleted one keeps its id for 30 days, as a custom role does."""
        return self.named("-".join(filter(None, ("ci", re.sub("[_.]", "-", self.role_suffix.lower())))))

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
        return other._replace(
            prefix=self.prefix,
            zones=self.zones or other.zones,
            consumers=self.consumers,
            storage_location=self.storage_location or other.storage_location,
            copies=self.copies,
            bakes_at_once=self.bakes_at_once or other.bakes_at_once,
            tests_at_once=self.tests_at_once or other.tests_at_once,
            spot=self.spot or other.spot,
            labels=self.labels or other.labels,
            infrastructure=self.infrastructure,
            subnetwork=other.subnetwork_path,
            buckets={purpose: other.bucket(purpose) for purpose in Bucket},
            accounts={duty: other.account(duty) for duty in Duty},
            table=other.table_id.removeprefix(f"{other.project}."),
            topic=other.topic_path.rpartition("/")[2],
            registry=other.registry_id,
            repository="",  # the triggers are the other stack's
            ci=None,
            takers=(),  # as are the grants
        )

    def of_copies(self, project: str) -> GoogleSettings:
        """Return the settings with which images are copied into another project."""
        own = self.copies.get(project) or Copies()
        location, key = own.storage_location or self.stored_in(), own.kms_key or self.kms_key
        return self._replace(project=project, storage_location=location, kms_key=key)

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

    @property
    def taker_members(self) -> tuple[str, ...]:
        """Who may take proven images into another project, as IAM names them, sorted."""
        return tuple(sorted({member(taker) for taker in self.takers}))
