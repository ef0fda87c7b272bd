"""Back ends: for each, one set of oven, library, test clusters and so on. A stack's settings choose one, here.

``docs/backends.md`` describes how to add one.
"""

from __future__ import annotations

from typing import assert_never

from bakery.backends.base import Backend
from bakery.backends.fake.backend import FakeBackend
from bakery.backends.google.backend import GoogleBackend
from bakery.backends.local.backend import LocalBackend
from bakery.settings import OvenKind, Settings


def backend(settings: Settings) -> Backend:
    """Return the back end of a stack. No other function may ask which one it is."""
    match settings.oven:
        case OvenKind.LOCAL:
            return LocalBackend(settings)
        case OvenKind.CLOUD_BUILD:
            return GoogleBackend(settings)
        case OvenKind.FAKE:
            return FakeBackend(settings)
        case unknown:
            assert_never(unknown)
