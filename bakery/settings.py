"""The stack's configuration, parsed once into frozen values; every error at once.

The keys stand in ``Pulumi.<stack>.yaml`` below ``config:`` as ``image-bakery:<key>``. The program, the plugin of the
dynamic resources and the command line all read them through :func:`parse`, so they can't disagree.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from bakery.errors import InputError, Problem

if TYPE_CHECKING:
    import pulumi

PROJECT = "image-bakery"
Choice = TypeVar("Choice", bound=StrEnum)


class OvenKind(StrEnum):
    """Who bakes."""

    LOCAL = "local"
    CLOUD_BUILD = "cloud-build"
    FAKE = "fake"


class Accelerator(StrEnum):
    """How QEMU runs a machine; AUTO boots a probe guest once and takes KVM only when that works."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True)
class LocalSettings:
    """The local oven and cluster. ``memory_mb`` and ``cores`` count for one machine that bakes.

    ``slots`` is how many machines' worth of cores may be busy at once (0: as many as the machine has cores);
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
    kms_key: str = ""
    repository: str = ""
    branch: str = "main"
    consumers: tuple[str, ...] = ()
    schedule: str = "0 4 * * 1"
    endpoint: str = ""


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


class _Reader:
    """Reads typed values out of one mapping and gathers what is wrong."""

    def __init__(self, values: Mapping[str, Any], where: str, prefix: str, problems: list[Problem]) -> None:
        self.values = values
        self.where = where
        self.prefix = prefix
        self.problems = problems
        self.seen: set[str] = set()

    def wrong(self, key: str, message: str, hint: str) -> None:
        """Note a problem with one key."""
        self.problems.append(Problem(self.where, 1, f"{self.prefix}{key} {message}", hint))

    def take(self, key: str, default: Any, kind: Callable[[Any], Any], what: str) -> Any:
        """The value of ``key`` as ``kind`` makes it, or the default; a bad one becomes a problem."""
        self.seen.add(key)
        if self.values.get(key) is None:
            return default
        try:
            return kind(self.values[key])
        except (TypeError, ValueError):
            self.wrong(key, f"is {self.values[key]!r}", f"write {what}")
            return default

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        return str(self.take(key, default, _text, "a string"))

    def count(self, key: str, default: int, least: int = 0) -> int:
        """A whole number of at least ``least``."""

        def number(value: Any) -> int:
            if isinstance(value, bool) or int(value) < least:
                raise ValueError
            return int(value)

        return int(self.take(key, default, number, f"a whole number, {least} or more"))

    def flag(self, key: str, default: bool) -> bool:
        """true or false."""
        return bool(self.take(key, default, _flag, "true or false"))

    def choice(self, key: str, default: Choice) -> Choice:
        """One of an enum's values."""
        kind = type(default)
        found: Choice = self.take(key, default, kind, "one of " + ", ".join(kind))
        return found

    def words(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self.take(key, (), _words, "a list of strings"))

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A mapping."""
        return dict(self.take(key, {}, _mapping, "a mapping"))

    def group(self, key: str) -> _Reader:
        """A reader of the mapping below ``key``."""
        return _Reader(self.mapping(key), self.where, f"{self.prefix}{key}.", self.problems)

    def done(self) -> None:
        """Name the keys that nobody asked for."""
        for key in sorted(set(self.values) - self.seen):
            self.wrong(key, "is not a setting", "take it away or correct it; known: " + ", ".join(sorted(self.seen)))


def _text(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError
    return str(value)


def _flag(value: Any) -> bool:
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise ValueError


def _words(value: Any) -> tuple[str, ...]:
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(entry) for entry in value)


def _mapping(value: Any) -> dict[str, Any]:
    value = json.loads(value) if isinstance(value, str) else value
    if not isinstance(value, dict):
        raise TypeError
    return value


def parse(values: Mapping[str, Any], stack: str, root: Path, where: str | None = None) -> Settings:
    """Settings from the stack's configuration, keys without the ``image-bakery:`` prefix.

    ``root`` is the checkout, relative paths start there; ``where`` names the file in problems. Structured values may
    come as JSON text, as Pulumi hands them out. Raises InputError with every problem.
    """
    problems: list[Problem] = []
    top = _Reader(values, where or f"Pulumi.{stack}.yaml", f"{PROJECT}:", problems)

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
        local=LocalSettings(
            accelerator=local.choice("accelerator", Accelerator.AUTO),
            cores=local.count("cores", 2, 1),
            memory_mb=local.count("memoryMb", 2048, 512),
            disk_gb=local.count("diskGb", 10, 2),
            slots=local.count("slots", 0),
            keep_failed=local.flag("keepFailed", False),
            mirror=local.text("mirror"),
        ),
        spack=SpackSettings(
            source=spack.text("source"),
            ref=spack.text("ref"),
            packages_source=spack.text("packagesSource"),
            packages_ref=spack.text("packagesRef"),
            cache=spack.text("cache"),
            mirror=spack.text("mirror"),
        ),
        google=GoogleSettings(
            project=google.text("project"),
            region=google.text("region"),
            zones=google.words("zones"),
            network=google.text("network"),
            subnetwork=google.text("subnetwork"),
            buckets=google.mapping("buckets"),
            accounts=google.mapping("accounts"),
            kms_key=google.text("kmsKey"),
            repository=google.text("repository"),
            branch=google.text("branch", "main"),
            consumers=google.words("consumers"),
            schedule=google.text("schedule", "0 4 * * 1"),
            endpoint=google.text("endpoint"),
        ),
        fake=top.mapping("fake"),
    )
    if settings.oven is OvenKind.CLOUD_BUILD:
        for key in ("project", "region"):
            if not google.text(key):
                google.wrong(key, "is missing", f"run: pulumi config set --path '{PROJECT}:google.{key}' ...")
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
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        raise InputError([Problem(file.name, line, "is no YAML", "correct the syntax")]) from error
    config = content.get("config") if isinstance(content, dict) else None
    if not isinstance(config, dict):
        raise InputError([Problem(file.name, 1, "has no mapping below config:", "write config: and the settings")])
    prefix = f"{PROJECT}:"
    return parse({k.removeprefix(prefix): v for k, v in config.items() if k.startswith(prefix)}, stack, root, file.name)


KEYS = ("oven", "packages", "common", "state", "lock", "select", "nonce", "retentionDays")
GROUPS = ("local", "spack", "google", "fake")


def from_pulumi(config: pulumi.Config, stack: str, root: Path) -> Settings:
    """Settings of the stack that Pulumi runs, in the program (``pulumi.Config``) or in the plugin's configure."""
    values = {key: config.get(key) for key in (*KEYS, *GROUPS)}
    return parse({key: value for key, value in values.items() if value is not None}, stack, root)
