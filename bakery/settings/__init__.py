"""A stack's configuration, parsed once into frozen values."""

from bakery.settings.google import GoogleSettings
from bakery.settings.model import (
    GROUPS,
    KEYS,
    PROJECT,
    Accelerator,
    LocalSettings,
    Settings,
    SpackSettings,
    from_file,
    from_pulumi,
    parse,
)
from bakery.settings.oven import OvenKind, Place

__all__ = [
    "GROUPS",
    "KEYS",
    "PROJECT",
    "Accelerator",
    "GoogleSettings",
    "LocalSettings",
    "OvenKind",
    "Place",
    "Settings",
    "SpackSettings",
    "from_file",
    "from_pulumi",
    "parse",
]
