"""The stack's configuration, parsed once into frozen values; every error at once.

The keys stand in ``Pulumi.<stack>.yaml`` below ``config:`` as ``image-bakery:<key>``. The program, the plugin of the
dynamic resources and the command line all read them through :func:`parse`, so they can't disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from bakery.errors import InputError, Problem
from bakery.settings import google as google_terms
from bakery.settings import google_names
from bakery.settings.google import Bucket, Connection, Duty
from bakery.settings.oven import OvenKind, Place
from bakery.settings.reader import Reader

if TYPE_CHECKING:
    import pulumi

PROJECT = "image-bakery"


class Accelerator(StrEnum):
    """How QEMU runs a machine; AUTO boots a probe guest once and takes KVM only when that works."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class LocalSettings:
    """The local oven and cluster. ``memory_mb`` and ``cores`` count for one machine that bakes.

    ``slots`` is how many cores all machines may have in use at once (0: as many as this computer has);
    ``keep_failed`` leaves the machine of a failed bake up and prints how to log in; ``mirror`` is the Debian mirror of
    base images ("" means the one that this machine's apt uses).
    """

    accelerator: Accelerator = Accelerator.AUTO
    cores: int = 2
    memory_mb: int = 2048
    disk_gb: int = 10
    slots: int = 0
    keep_failed: bool = False
    mirror: str = ""


@dataclass(frozen=True)
class SpackSettings:
    """Where bakes take Spack from: a git URL, a folder or an archive, pinned by tag or commit."""

    source: str = ""
    ref: str = ""
    packages_source: str = ""
    packages_ref: str = ""
    cache: str = ""
    cache_key: str = ""
    mirror: str = ""


@dataclass(frozen=True)
class GoogleSettings:
    """What the gcp stack needs; empty strings mean "make one". See docs/settings.md."""

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
        """The connection of ``repository``, if that is one of the second generation."""
        return Connection.of(self.repository)

    def bucket(self, purpose: Bucket) -> str:
        """Return the name of a bucket. Bucket names are global, so a default one contains the project."""
        return self.buckets.get(purpose) or f"{self.project}-bakery-{purpose}"

    def account(self, duty: Duty) -> str:
        """Return the e-mail address of a service account."""
        return self.accounts.get(duty) or f"{google_names.account_id(duty)}@{self.project}.iam.gserviceaccount.com"

    @property
    def subnetwork_path(self) -> str:
        """The subnetwork of imaging and test machines, as a path."""
        return self.subnetwork or f"projects/{self.project}/regions/{self.region}/subnetworks/{google_names.NETWORK}"

    @property
    def topic_path(self) -> str:
        """The Pub/Sub topic of the bakery's events, as a path."""
        return f"projects/{self.project}/topics/{self.topic or google_names.TOPIC}"

    @property
    def table_id(self) -> str:
        """The BigQuery table of the results: ``project.dataset.table``."""
        return f"{self.project}.{self.table or f'{google_names.DATASET}.{google_names.TABLE}'}"

    @property
    def registry_id(self) -> str:
        """The id of the Artifact Registry repository of the builder image."""
        return self.registry or google_names.REPOSITORY

    @property
    def bake_zones(self) -> tuple[str, ...]:
        """The zones to bake and test in, in order of preference."""
        return self.zones or tuple(f"{self.region}-{letter}" for letter in google_names.ZONES.get(self.region, "abc"))

    @property
    def consumer_members(self) -> tuple[str, ...]:
        """Who may boot from promoted images, as IAM names them, sorted."""
        return tuple(sorted({google_terms.member(consumer) for consumer in self.consumers}))


@dataclass(frozen=True)
class Settings:
    """All settings of a stack. Paths are absolute; ``select`` names the packages to bake (empty: all).

    ``nonce`` maps a package to a word that enters its digest: changing it forces a new bake.
    """

    stack: str
    root: Path
    oven: OvenKind
    packages: Path
    common: Path
    state: Path
    lock: Path
    select: tuple[str, ...] = ()
    nonce: Mapping[str, str] = field(default_factory=dict)
    retention_days: int = 30
    local: LocalSettings = LocalSettings()
    spack: SpackSettings = SpackSettings()
    google: GoogleSettings = GoogleSettings()
    fake: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bases(self) -> Place:
        """The part of the lock file that the stack's base images are in."""
        return self.oven.bases

    @property
    def spack_cache(self) -> str:
        """The address of the cache of built Spack packages; empty if there is none."""
        bucket = self.oven.spack_bucket
        return self.spack.cache or (f"gs://{self.google.bucket(bucket)}" if bucket else "")


def _local(reader: Reader) -> LocalSettings:
    return LocalSettings(
        accelerator=reader.choice("accelerator", Accelerator.AUTO),
        cores=reader.count("cores", 2, 1),
        memory_mb=reader.count("memoryMb", 2048, 512),
        disk_gb=reader.count("diskGb", 10, 2),
        slots=reader.count("slots", 0),
        keep_failed=reader.flag("keepFailed", False),
        mirror=reader.text("mirror"),
    )


def _spack(reader: Reader, root: Path) -> SpackSettings:
    def place(key: str) -> str:
        """An address as it is; a path of this computer in full."""
        text = reader.text(key)
        return str((root / Path(text).expanduser()).resolve()) if text.startswith((".", "~", "/")) else text

    return SpackSettings(
        source=place("source"),
        ref=reader.text("ref"),
        packages_source=place("packagesSource"),
        packages_ref=reader.text("packagesRef"),
        cache=place("cache"),
        cache_key=place("cacheKey"),
        mirror=place("mirror"),
    )


def _google(reader: Reader) -> GoogleSettings:
    google_terms.check(reader)
    return GoogleSettings(
        project=reader.text("project"),
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
        consumers=reader.words("consumers"),
        schedule=reader.text("schedule", "0 4 * * 1"),
        endpoint=reader.text("endpoint"),
    )


def parse(values: Mapping[str, Any], stack: str, root: Path, where: str | None = None) -> Settings:
    """Settings from the stack's configuration, keys without the ``image-bakery:`` prefix.

    ``root`` is the checkout, relative paths start there; ``where`` names the file in problems. Structured values may
    come as JSON text, as Pulumi hands them out. Raises InputError with every problem.
    """
    problems: list[Problem] = []
    top = Reader(values, where or f"Pulumi.{stack}.yaml", f"{PROJECT}:", problems)

    def path(key: str, default: str) -> Path:
        return (root / Path(top.text(key, default)).expanduser()).resolve()

    local, spack, google = top.group("local"), top.group("spack"), top.group("google")
    settings = Settings(
        stack=stack,
        root=root.resolve(),
        oven=top.choice("oven", OvenKind.LOCAL),
        packages=path("packages", "packages"),
        common=path("common", "common"),
        state=path("state", ".bakery"),
        lock=path("lock", "bakery.lock"),
        select=top.words("select"),
        nonce={key: str(value) for key, value in top.mapping("nonce").items()},
        retention_days=top.count("retentionDays", 30),
        local=_local(local),
        spack=_spack(spack, root),
        google=_google(google),
        fake=top.mapping("fake"),
    )
    groups = {"local": local, "spack": spack, "google": google}
    for name in settings.oven.required:
        group, _, key = name.partition(".")
        if not groups[group].text(key):
            groups[group].wrong(key, "is missing", f"run: pulumi config set --path '{PROJECT}:{name}' ...")
    for reader in (local, spack, google, top):
        reader.done()
    if problems:
        raise InputError(problems)
    return settings


def from_file(root: Path, stack: str) -> Settings:
    """Settings of a stack from its ``Pulumi.<stack>.yaml`` alone, without an engine; defaults when there is no file."""
    file = root / f"Pulumi.{stack}.yaml"
    if not file.exists():
        return parse({}, stack, root, file.name)
    try:
        content = yaml.safe_load(file.read_bytes()) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise InputError([Problem(file.name, line, "is no YAML", "correct the syntax")]) from error
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise InputError([Problem(file.name, 1, "has no mapping below config:", "write config: and the settings")])
    prefix = f"{PROJECT}:"
    given = {str(key): value for key, value in config.items()}
    return parse({k.removeprefix(prefix): v for k, v in given.items() if k.startswith(prefix)}, stack, root, file.name)


KEYS = ("oven", "packages", "common", "state", "lock", "select", "nonce", "retentionDays")
GROUPS = ("local", "spack", "google", "fake")


def from_pulumi(config: pulumi.Config, stack: str, root: Path) -> Settings:
    """Settings of the stack that Pulumi runs, in the program (``pulumi.Config``) or in the plugin's configure."""
    values = {key: config.get(key) for key in (*KEYS, *GROUPS)}
    return parse({key: value for key, value in values.items() if value is not None}, stack, root)
