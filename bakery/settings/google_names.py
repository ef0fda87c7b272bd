"""The names of what the bakery has on Google Cloud, where the settings give no other.

Declared by :mod:`bakery.infrastructure` and used by ovens, library and Fluid-Run. All of them ask
:class:`bakery.settings.GoogleSettings`, so they agree.
"""

from __future__ import annotations

from bakery.settings.google import Duty

DATASET = "rcc_run"
TABLE = "app_runs"
TOPIC = "bakery-events"
NETWORK = "bakery"
REPOSITORY = "bakery"
BAKE = "bake-"  # prefix of a machine that bakes and of its disk; the id of the build follows
SSH_TAG = "image-bakery"  # network tag of a machine that IAP may reach over ssh
TEST_TAG = "bakery-test"  # network tag of test machines, which reach each other
# Zones of the regions that have others than a, b and c: https://cloud.google.com/compute/docs/regions-zones
ZONES = {"us-central1": "abcf", "us-east1": "bcd", "europe-west1": "bcd"}


def account_id(duty: Duty) -> str:
    """Return the id of the service account that the bakery makes for a duty: 6 to 30 characters."""
    return f"bakery-{duty}"
