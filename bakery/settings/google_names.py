"""Names of what the bakery has on Google Cloud: given by the settings, else made from the project.

Declared by :mod:`bakery.infrastructure`, used by ovens, library and Fluid-Run; both sides ask here, so they agree.
"""

from __future__ import annotations

from bakery.settings import GoogleSettings
from bakery.settings.google import Bucket, Duty, member

__all__ = ["Bucket", "Duty"]  # whoever asks for a name, says of what

DATASET = "rcc_run"
TABLE = "app_runs"
TOPIC = "bakery-events"
NETWORK = "bakery"
REPOSITORY = "bakery"
BAKE = "bake-"  # and the id of the build: a machine that bakes, and its disk
SSH_TAG = "image-bakery"  # of a machine: the network lets IAP's ssh through to it
TEST_TAG = "bakery-test"  # of test machines, which reach each other
# The zones of regions that have other ones than a, b and c: https://cloud.google.com/compute/docs/regions-zones
ZONES = {"us-central1": "abcf", "us-east1": "bcd", "europe-west1": "bcd"}


def bucket(google: GoogleSettings, purpose: Bucket) -> str:
    """The bucket's name; bucket names are global, so the project is in it."""
    return google.buckets.get(purpose) or f"{google.project}-bakery-{purpose}"


def account_id(duty: Duty) -> str:
    """The account's id, 6 to 30 characters."""
    return f"bakery-{duty}"


def account(google: GoogleSettings, duty: Duty) -> str:
    """The account's e-mail address."""
    return google.accounts.get(duty) or f"{account_id(duty)}@{google.project}.iam.gserviceaccount.com"


def subnetwork(google: GoogleSettings) -> str:
    """The subnetwork of imaging and test machines, as a path."""
    return google.subnetwork or f"projects/{google.project}/regions/{google.region}/subnetworks/{NETWORK}"


def topic(google: GoogleSettings) -> str:
    """The Pub/Sub topic of the bakery's events, as a path."""
    return f"projects/{google.project}/topics/{google.topic or TOPIC}"


def table(google: GoogleSettings) -> str:
    """The BigQuery table of the results: ``project.dataset.table``."""
    return f"{google.project}.{google.table or f'{DATASET}.{TABLE}'}"


def registry(google: GoogleSettings) -> str:
    """The id of the Artifact Registry repository of the builder image."""
    return google.registry or REPOSITORY


def zones(google: GoogleSettings) -> tuple[str, ...]:
    """The zones to bake and test in, in order of preference."""
    return google.zones or tuple(f"{google.region}-{letter}" for letter in ZONES.get(google.region, "abc"))


def consumers(google: GoogleSettings) -> tuple[str, ...]:
    """Who may boot from promoted images, as IAM names them, sorted."""
    return tuple(sorted({member(consumer) for consumer in google.consumers}))
