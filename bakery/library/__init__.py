"""The image library: which images there are, their state, the families, the runs that proved them."""

from __future__ import annotations

from bakery.library.base import Library
from bakery.settings import OvenKind, Settings


def make(settings: Settings) -> Library:
    """The library that the stack's oven publishes into; the fake oven's images are small files of a local one."""
    # Imported here, not above: the local library stores Fluid-Run results, whose models import this package's base,
    # and whoever bakes locally need not load Google's clients.
    if settings.oven is OvenKind.CLOUD_BUILD:
        from bakery.library.compute_engine.library import ComputeEngineLibrary

        return ComputeEngineLibrary(settings)
    from bakery.library.local.library import LocalLibrary

    return LocalLibrary(settings)
