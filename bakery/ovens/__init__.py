"""Ovens bake images: one protocol, a local, a Google Cloud and a fake implementation."""

from __future__ import annotations

from bakery.ovens.base import Oven
from bakery.settings import OvenKind, Settings


def make(settings: Settings) -> Oven:
    """The oven that the stack's settings name."""
    # Imported here: whoever bakes locally need not load Google's clients.
    if settings.oven is OvenKind.CLOUD_BUILD:
        from bakery.ovens.cloud_build.oven import shared_oven

        return shared_oven(settings)
    if settings.oven is OvenKind.FAKE:
        from bakery.ovens.fake import FakeOven

        return FakeOven(settings)
    from bakery.ovens.local.oven import LocalOven

    return LocalOven(settings)
