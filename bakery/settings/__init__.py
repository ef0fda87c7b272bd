"""A stack's configuration, parsed once into frozen values."""

from bakery.settings.model import (
    GROUPS,
    KEYS,
    PROJECT,
    Accelerator,
    GoogleSettings,
    LocalSettings,
    OvenKind,
    Settings,
    SpackSettings,
    from_file,
    from_pulumi,
    parse,
)

__all__ = [
    "GROUPS",
    "KEYS",
    "PROJECT",
    "Accelerator",
    "GoogleSettings",
    "LocalSettings",
    "OvenKind",
    "Settings",
    "SpackSettings",
    "from_file",
    "from_pulumi",
    "parse",
]
