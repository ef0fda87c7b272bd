"""Names on Google Cloud: what the settings give counts, on both sides that ask."""

from __future__ import annotations

from bakery.infrastructure.triggers import builder_image
from bakery.settings import GoogleSettings
from bakery.settings.google import Bucket, Duty

MADE = GoogleSettings(project="p", region="r1")
GIVEN = GoogleSettings(
    project="p",
    region="r1",
    table="theirs.runs",
    topic="news",
    registry="images",
    subnetwork="projects/host/regions/r1/subnetworks/theirs",
    zones=("r1-d",),
    buckets={"logs": "their-logs"},
    accounts={"bake": "baker@host.iam.gserviceaccount.com"},
)


def test_what_is_not_given_has_the_bakerys_names() -> None:
    assert MADE.table_id == "p.rcc_run.app_runs"
    assert MADE.topic_path == "projects/p/topics/bakery-events"
    assert builder_image(MADE).startswith("r1-docker.pkg.dev/p/bakery/bakery:")
    assert MADE.subnetwork_path == "projects/p/regions/r1/subnetworks/bakery"
    assert MADE.bake_zones == ("r1-a", "r1-b", "r1-c")
    assert MADE.bucket(Bucket.LOGS) == "p-bakery-logs"
    assert MADE.account(Duty.BAKE) == "bakery-bake@p.iam.gserviceaccount.com"


def test_what_is_given_is_used() -> None:
    assert GIVEN.table_id == "p.theirs.runs"
    assert GIVEN.topic_path == "projects/p/topics/news"
    assert builder_image(GIVEN).startswith("r1-docker.pkg.dev/p/images/bakery:")
    assert GIVEN.subnetwork_path == "projects/host/regions/r1/subnetworks/theirs"
    assert GIVEN.bake_zones == ("r1-d",)
    assert GIVEN.bucket(Bucket.LOGS) == "their-logs"
    assert GIVEN.bucket(Bucket.SOURCES) == "p-bakery-sources"
    assert GIVEN.account(Duty.BAKE) == "baker@host.iam.gserviceaccount.com"
    assert GIVEN.account(Duty.TEST) == "bakery-test@p.iam.gserviceaccount.com"


def test_consumers_are_told_once_each_in_order_and_as_iam_names_them() -> None:
    told = ("group:b@example.com", "group:a@example.com", "group:b@example.com")
    google = GoogleSettings(project="p", region="r1", consumers=told)
    assert google.consumer_members == ("group:a@example.com", "group:b@example.com")


def test_a_region_has_the_zones_that_google_has_there() -> None:
    found = {region: GoogleSettings(region=region).bake_zones for region in ("us-central1", "us-west1", "us-east1")}
    assert found == {
        "us-central1": ("us-central1-a", "us-central1-b", "us-central1-c", "us-central1-f"),
        "us-west1": ("us-west1-a", "us-west1-b", "us-west1-c"),
        "us-east1": ("us-east1-b", "us-east1-c", "us-east1-d"),
    }
    assert GoogleSettings(region="us-east1", zones=("us-east1-d",)).bake_zones == ("us-east1-d",)


def test_the_project_of_a_domain_gives_legal_names() -> None:
    google = GoogleSettings(project="example.com:p", region="r1")
    assert google.bucket(Bucket.LOGS) == "example-com-p-bakery-logs"
    assert google.account(Duty.BAKE) == "bakery-bake@p.example.com.iam.gserviceaccount.com"
    assert builder_image(google).startswith("r1-docker.pkg.dev/example.com/p/bakery/")
