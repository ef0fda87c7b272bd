"""The clusters that Fluid-Runs happen on."""

from __future__ import annotations

from bakery.fluid_run.base import Clusters
from bakery.fluid_run.clusters.fake import FakeClusters
from bakery.fluid_run.clusters.local import LocalClusters
from bakery.settings import OvenKind, Settings


def make(settings: Settings, *, open_shell: bool = False) -> Clusters:
    """The clusters that fit the stack's oven; with ``open_shell`` somebody may log in to their machines."""
    if settings.oven is OvenKind.LOCAL:
        return LocalClusters(settings, open_shell)
    if settings.oven is OvenKind.FAKE:
        return FakeClusters(settings)
    # Imported here: whoever tests locally need not load Google's clients.
    from bakery.fluid_run.clusters.compute_engine import ComputeEngineClusters
    from bakery.host.google import Google

    return ComputeEngineClusters(settings, Google(settings.google), open_shell)
