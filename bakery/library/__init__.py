"""The image library: images with their states, the families that point at them, and their Fluid-Runs."""

from __future__ import annotations

from bakery.library.base import Library
from bakery.settings import OvenKind, Settings


def make(settings: Settings) -> Library:
    """Return the library that the stack's oven publishes into. The fake oven uses a local library with small files."""
    # Imported here: a local bake does not need Google's clients, nor a cloud bake SQLite.
    if settings.oven is OvenKind.CLOUD_BUILD:
        from bakery.library.compute_engine.library import ComputeEngineLibrary

        return ComputeEngineLibrary(settings)
    from bakery.library.local.library import LocalLibrary

    return LocalLibrary(settings)
