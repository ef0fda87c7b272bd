"""Names on Google Cloud: what the settings give counts, on both sides that ask."""

from __future__ import annotations

from bakery.infrastructure.triggers import builder_image
from bakery.plan import google_names
from bakery.settings import GoogleSettings

MADE = GoogleSettings(project="p", region="r1")
GIVEN = GoogleSettings(project="p", region="r1", table="theirs.runs", topic="news", registry="images")


def test_what_is_not_given_has_the_bakerys_names() -> None:
    assert google_names.table(MADE) == "p.rcc_run.app_runs"
    assert google_names.topic(MADE) == "projects/p/topics/bakery-events"
    assert builder_image(MADE).startswith("r1-docker.pkg.dev/p/bakery/bakery:")


def test_what_is_given_is_used() -> None:
    assert google_names.table(GIVEN) == "p.theirs.runs"
    assert google_names.topic(GIVEN) == "projects/p/topics/news"
    assert builder_image(GIVEN).startswith("r1-docker.pkg.dev/p/images/bakery:")


def test_a_region_has_the_zones_that_google_has_there() -> None:
    found = {
        region: google_names.zones(GoogleSettings(region=region)) for region in ("us-central1", "us-west1", "us-east1")
    }
    assert found == {
        "us-central1": ("us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"),
        "us-west1": ("us-west1-a", "us-west1-b", "us-west1-c"),
        "us-east1": ("us-east1-b", "us-east1-c", "us-east1-d"),
    }
    assert google_names.zones(GoogleSettings(region="us-east1", zones=("us-east1-d",))) == ("us-east1-d",)
