"""The settings of the local oven and of local test clusters."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from bakery.settings import bases
from bakery.settings.bases import LocalBase
from bakery.settings.reader import Reader


class Accelerator(StrEnum):
    """How QEMU runs a machine; AUTO boots a probe guest once and uses KVM only if that guest boots."""

    AUTO = "auto"
    KVM = "kvm"
    TCG = "tcg"


class Isolation(StrEnum):
    """Where the local oven bakes; AUTO takes a container if machines are emulated and the recipe can do with one."""

    AUTO = "auto"
    MACHINE = "machine"
    CONTAINER = "container"


class LayerSettings(NamedTuple):
    """Layers of bakes: ``budget_gb`` GiB for all of them (0: none are made or used), each is used for ``days`` days."""

    budget_gb: int = 10
    days: int = 7


class SnapshotSettings(NamedTuple):
    """Boot snapshots of test machines: ``budget_gb`` GiB for all of them (0: none are made or used)."""

    budget_gb: int = 4


class LocalSettings(NamedTuple):
    """The local oven and cluster. ``memory_mb`` and ``cores`` are those of one machine that bakes.

    ``slots`` is the number of cores that all machines may use at the same time (0: all cores of this computer);
    ``keep_failed`` keeps the machine of a failed bake running and prints how to log in; ``mirror`` is the Debian mirror
    of base images ("": the one that this computer's apt uses), ``bases`` maps ``<project>/<family>`` to cloud images.
    """

    accelerator: Accelerator = Accelerator.AUTO
    isolation: Isolation = Isolation.AUTO
    cores: int = 2
    memory_mb: int = 2048
    disk_gb: int = 10
    slots: int = 0
    keep_failed: bool = False
    mirror: str = ""
    layers: LayerSettings = LayerSettings()
    boot_snapshots: SnapshotSettings = SnapshotSettings()
    bases: Mapping[str, LocalBase] = MappingProxyType({})


def read(reader: Reader) -> LocalSettings:
    """Return the settings of the group ``local``."""
    return LocalSettings(
        accelerator=reader.choice("accelerator", Accelerator.AUTO),
        isolation=reader.choice("isolation", Isolation.AUTO),
        cores=reader.count("cores", 2, 1),
        memory_mb=reader.count("memoryMb", 2048, 512),
        disk_gb=reader.count("diskGb", 10, 2),
        slots=reader.count("slots", 0),
        keep_failed=reader.flag("keepFailed", False),
        mirror=reader.text("mirror"),
        layers=_layers(reader.group("layers")),
        boot_snapshots=_snapshots(reader.group("bootSnapshots")),
        bases=bases.read(reader.group("bases")),
    )


def _layers(reader: Reader) -> LayerSettings:
    settings = LayerSettings(budget_gb=reader.count("budgetGb", 10), days=reader.count("days", 7, 1))
    reader.done()
    return settings


def _snapshots(reader: Reader) -> SnapshotSettings:
    settings = SnapshotSettings(budget_gb=reader.count("budgetGb", 4))
    reader.done()
    return settings
