"""The clusters that Fluid-Runs happen on."""

from __future__ import annotations

from bakery.errors import InfrastructureFailed
from bakery.fluid_run.base import Clusters
from bakery.fluid_run.clusters.fake import FakeClusters
from bakery.fluid_run.clusters.local import LocalClusters
from bakery.settings import OvenKind, Settings


def make(settings: Settings) -> Clusters:
    """The clusters that fit the stack's oven. Raises InfrastructureFailed for an oven that has none."""
    if settings.oven is OvenKind.LOCAL:
        return LocalClusters(settings)
    if settings.oven is OvenKind.FAKE:
        return FakeClusters(settings)
    raise InfrastructureFailed(f"there is no test cluster for the oven {settings.oven}")
