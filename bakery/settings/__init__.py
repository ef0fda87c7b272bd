"""A stack's configuration, parsed once into frozen values."""

from bakery.settings.bases import LocalBase
from bakery.settings.files import PROJECT
from bakery.settings.google import LONGEST_BUILD, SSH_TAG, TEST_TAG, Bucket, Duty, GoogleSettings
from bakery.settings.limits import LimitSettings
from bakery.settings.local import Accelerator, Isolation, LayerSettings, LocalSettings, SnapshotSettings
from bakery.settings.model import (
    GROUPS,
    KEYS,
    Settings,
    SpackSettings,
    parse,
)
from bakery.settings.network import Mirrors, NetworkSettings
from bakery.settings.oven import OvenKind, Place
from bakery.settings.stacks import from_file, from_mapping, from_pulumi

__all__ = [
    "GROUPS",
    "KEYS",
    "LONGEST_BUILD",
    "PROJECT",
    "SSH_TAG",
    "TEST_TAG",
    "Accelerator",
    "Bucket",
    "Duty",
    "GoogleSettings",
    "Isolation",
    "LayerSettings",
    "LimitSettings",
    "LocalBase",
    "LocalSettings",
    "Mirrors",
    "NetworkSettings",
    "OvenKind",
    "Place",
    "Settings",
    "SnapshotSettings",
    "SpackSettings",
    "from_file",
    "from_mapping",
    "from_pulumi",
    "parse",
]
