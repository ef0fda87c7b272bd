"""Back ends: for each, one set of oven, library, test clusters and so on. A stack's settings choose one, here.

``docs/backends.md`` describes how to add one.
"""

from typing import assert_never

from bakery.backends.base import Backend
from bakery.settings import OvenKind, Settings


def backend(settings: Settings) -> Backend:
    """Return the back end of a stack. No other function may ask which one it is."""
    # Imported here: a stack must not load the libraries of another back end.
    match settings.oven:
        case OvenKind.LOCAL:
            from bakery.backends.local.backend import LocalBackend

            return LocalBackend(settings)
        case OvenKind.CLOUD_BUILD:
            from bakery.backends.google.backend import GoogleBackend

            return GoogleBackend(settings)
        case OvenKind.FAKE:
            from bakery.backends.fake.backend import FakeBackend

            return FakeBackend(settings)
        case unknown:
            assert_never(unknown)
