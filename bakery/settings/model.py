"""The stack's configuration, parsed once into frozen values; all errors are reported at the same time.

``Pulumi.<stack>.yaml`` has the keys below ``config:`` as ``image-bakery:<key>``. The program, the plugin of the dynamic
resources and the command line all read them with :func:`parse`, so they can't disagree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from bakery.errors import InputError, Problem
from bakery.settings import cluster, deprecated, limits, network, origin, retention, rollout
from bakery.settings import local as local_settings
from bakery.settings.bases import LocalBase
from bakery.settings.cluster import ClusterSettings
from bakery.settings.files import PROJECT
from bakery.settings.google import GoogleSettings
from bakery.settings.limits import LimitSettings
from bakery.settings.local import LocalSettings
from bakery.settings.network import NetworkSettings
from bakery.settings.oven import OvenKind, Place
from bakery.settings.reader import Reader
from bakery.settings.retention import EVERY_FAMILY, Retention
from bakery.settings.rollout import Rollout

KEYS = (
    *("oven", "packages", "common", "state", "lock", "select", "shipped", "nonce", "retentionDays", "retention"),
    *("pins", "approval", "approved", "channels", "rollout", "from", "proxy", "noProxy"),
)
GROUPS = ("cluster", "limits", "local", "spack", "google", "mirrors", "fake")


ARGUMENT = "settings"  # in place of a namespace, if a program passes the settings


class SpackSettings(NamedTuple):
    """Where bakes get Spack: from a git URL, a folder or an archive, pinned by tag or commit."""

    source: str = ""
    ref: str = ""
    packages_source: str = ""
    packages_ref: str = ""
    cache: str = ""
    cache_key: str = ""
    mirror: str = ""


@dataclass(frozen=True)
class Settings:
    """All settings of a stack. Paths are absolute; ``select`` names the packages to bake (empty: all), ``shipped`` the
    packages of the installed bakery that the stack has besides its own.

    ``nonce`` maps a package to a word in its digest: a changed word forces a new bake. ``pins`` maps families to images
    that they point at, whatever their recipes say. ``approval`` are patterns of families whose images must be
    ``approved``, which maps families to images. ``channels`` maps names to patterns of families, ``rollout`` patterns
    of families to how long they wait. ``from_stack`` is the stack whose proven images this one takes, which bakes none
    then, ``smoke`` are the jobs that run on them here, and ``source_stack`` are the settings of that stack. ``source``
    is the file that the settings were read from without an engine, ``secrets`` are the texts of those that are secret,
    by path. ``namespace`` is what their keys begin with. ``warnings`` are about deprecated ones.
    """

    stack: str
    root: Path
    oven: OvenKind
    packages: Path
    common: Path
    state: Path
    lock: Path
    select: tuple[str, ...] = ()
    shipped: tuple[str, ...] = ()
    nonce: Mapping[str, str] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    approval: tuple[str, ...] = ()
    approved: Mapping[str, str] = field(default_factory=dict)
    channels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rollout: Mapping[str, Rollout] = field(default_factory=dict)
    from_stack: str = ""
    smoke: tuple[str, ...] = ()
    retention: Mapping[str, Retention] = field(default_factory=lambda: {EVERY_FAMILY: Retention()})
    cluster: ClusterSettings = field(default_factory=ClusterSettings)
    limits: LimitSettings = field(default_factory=LimitSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    spack: SpackSettings = field(default_factory=SpackSettings)
    google: GoogleSettings = field(default_factory=GoogleSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    fake: Mapping[str, Any] = field(default_factory=dict)
    source_stack: Settings | None = None
    namespace: str = field(default=PROJECT, compare=False)
    source: Path | None = field(default=None, compare=False)
    secrets: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    @property
    def file(self) -> str:
        """The name of the stack's file, for problems."""
        return self.source.name if self.source else f"Pulumi.{self.stack}.yaml"

    @property
    def bases(self) -> Place:
        """The part of the lock file that the stack's base images are in."""
        return self.oven.bases

    @property
    def base_images(self) -> Mapping[str, LocalBase]:
        """The base images that the settings define, by ``<project>/<family>``; empty for other places than theirs."""
        return self.local.bases if self.bases.takes_local_bases else {}

    @property
    def shares_files(self) -> bool:
        """Whether images of the same digest share a file."""
        return not self.in_project

    @property
    def in_project(self) -> bool:
        """Whether images and test machines belong to ``google.project``."""
        return self.oven.in_project

    @property
    def library_place(self) -> tuple[str, ...]:
        """What tells the library from those of other stacks: project and prefix, or the folder."""
        return (self.google.project, self.google.prefix) if self.in_project else (str(self.state),)

    @property
    def secret_sources(self) -> tuple[str, ...]:
        """Where bakes can take secrets from; empty if they take none."""
        return self.oven.secret_sources

    @property
    def spack_cache(self) -> str:
        """The address of the cache of built Spack packages; empty if there is none."""
        bucket = self.oven.spack_bucket
        return self.spack.cache or (f"gs://{self.google.bucket(bucket)}" if bucket else "")


def _spack(reader: Reader, root: Path) -> SpackSettings:
    def place(key: str) -> str:
        """Return an address unchanged, and a path of this computer as an absolute path."""
        text = reader.text(key)
        return str(reader.path(key, root)) if text.startswith((".", "~", "/")) else text

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
    if not reader.values:
        return GoogleSettings()
    from bakery.settings import google_reader  # a local stack does not need it

    return google_reader.read(reader)


def _check_required(settings: Settings, groups: Mapping[str, Reader]) -> None:
    """Report what the oven needs."""
    for name in settings.oven.required if not settings.google.infrastructure else ():
        group, _, key = name.partition(".")
        if not groups[group].text(key):
            command = f"run: pulumi config set --path '{settings.namespace}:{name}' ..."
            groups[group].wrong(key, "is missing", f"add {name}" if settings.namespace == ARGUMENT else command)


def _check_mirrors(settings: Settings, groups: Mapping[str, Reader]) -> None:
    """Report settings that exclude each other."""
    hint = "remove one of them"
    if settings.local.mirror and settings.network.mirrors.apt:
        groups["local"].wrong("mirror", "is set as well as mirrors.apt", f"{hint}; the image does not keep the second")
    if settings.spack.mirror and settings.network.mirrors.spack:
        groups["spack"].wrong("mirror", "is set as well as mirrors.spack", hint)


def parse(
    values: Mapping[str, Any], stack: str, root: Path, file: Path | None = None, project: str = PROJECT
) -> Settings:
    """Return the settings from a stack's configuration, whose keys have no ``<project>:`` prefix.

    ``root`` is the checkout, where relative paths start; ``file`` is where the values are from, for problems, and
    ``project`` what their keys begin with there.
    Structured values may be JSON text, as Pulumi passes them. Raises InputError with every problem.
    """
    problems: list[Problem] = []
    file = file or root / f"Pulumi.{stack}.yaml"
    values, old = deprecated.renamed(values)
    top = Reader(values, file.name, f"{project}:", problems)

    def path(key: str, default: str) -> Path:
        return top.path(key, root, default)

    groups = {name: top.group(name) for name in ("cluster", "limits", "local", "spack", "google", "mirrors")}
    taken = origin.read(top)
    settings = Settings(
        stack=stack,
        root=root.resolve(),
        oven=top.choice("oven", OvenKind.LOCAL),
        packages=path("packages", "packages"),
        common=path("common", "common"),
        state=path("state", ".bakery"),
        lock=path("lock", "bakery.lock"),
        select=top.words("select", least=1),
        shipped=top.words("shipped"),
        nonce={key: str(value) for key, value in top.mapping("nonce").items()},
        pins=top.texts("pins"),
        approval=top.words("approval"),
        approved=top.texts("approved"),
        channels=top.lists("channels"),
        rollout=rollout.read(top),
        from_stack=taken.stack,
        smoke=taken.smoke,
        retention=retention.read(top, top.count("retentionDays", 30, most=retention.LONGEST)),
        cluster=cluster.read(groups["cluster"], root),
        limits=limits.read(groups["limits"]),
        local=local_settings.read(groups["local"]),
        spack=_spack(groups["spack"], root),
        google=_google(groups["google"]),
        network=network.read(top, groups["mirrors"]),
        namespace=project,
        fake=top.mapping("fake"),
        warnings=deprecated.warnings(old, file, project),
    )
    _check_required(settings, groups)
    if settings.google.copies and not settings.in_project:
        hint = "remove it, or move it to the file of a stack whose oven is cloud-build"
        groups["google"].wrong("copies", f"has no effect: with oven {settings.oven} images are in no project", hint)
    _check_mirrors(settings, groups)
    for reader in (*groups.values(), top):
        reader.done()
    if problems:
        raise InputError(problems)
    return settings
