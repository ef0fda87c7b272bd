"""Names on Google Cloud: what the settings give counts, on both sides that ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from bakery.errors import InputError
from bakery.infrastructure.triggers import builder_image
from bakery.settings import GoogleSettings, from_file, parse
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


def test_a_prefix_is_in_every_name() -> None:
    google = GoogleSettings(project="p", region="r1", prefix="dev-1")
    assert google.table_id == "p.dev_1_rcc_run.app_runs"
    assert google.topic_path == "projects/p/topics/dev-1-events"
    assert builder_image(google).startswith("r1-docker.pkg.dev/p/dev-1/bakery:")
    assert google.subnetwork_path == "projects/p/regions/r1/subnetworks/dev-1"
    assert google.bucket(Bucket.LOGS) == "p-dev-1-logs"
    assert google.account(Duty.BAKE) == "dev-1-bake@p.iam.gserviceaccount.com"
    assert google.role("bakeryBaker") == "bakeryBaker_dev_1"
    assert google._replace(role_suffix="2").role("bakeryBaker") == "bakeryBaker_dev_12"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"prefix": "x" * 23}, "google.prefix is"),
        ({"prefix": "-x"}, "google.prefix is"),
        ({"prefix": "Dev"}, "google.prefix is"),
        ({"prefix": "x" * 22, "project": "p" * 30}, "google.prefix makes the bucket's name"),
        ({"project": f"example.com:{'p' * 45}"}, "google.prefix makes the bucket's name"),
        ({"prefix": "x" * 22, "roleSuffix": "2" * 40}, "google.roleSuffix makes the role's name"),
    ],
)
def test_a_name_that_google_refuses_is_refused(values: Mapping[str, str], problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        parse({"oven": "cloud-build", "google": {"project": "p", "region": "us-central1", **values}}, "gcp", Path())


def test_the_longest_prefix_makes_names_that_google_takes() -> None:
    google = GoogleSettings(project="p" * 28, region="r1", prefix="x" * 22)
    assert max(len(google.named(duty)) for duty in Duty) == 30
    assert max(len(google.bucket(purpose)) for purpose in Bucket) == 63
    given = {"project": google.project, "region": "us-central1", "prefix": google.prefix}
    assert parse({"oven": "cloud-build", "google": given}, "gcp", Path()).google.prefix == google.prefix


def test_a_stack_uses_the_infrastructure_of_another_one(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.shared.yaml").write_text(
        "config:\n  image-bakery:oven: cloud-build\n  image-bakery:google:\n    project: p\n    region: us-central1\n"
        "    prefix: site\n    repository: o/r\n    consumers: [group:all@example.com]\n"
    )
    mine = tmp_path / "Pulumi.dev.yaml"
    settings = "config:\n  image-bakery:oven: cloud-build\n  image-bakery:google:\n    infrastructure: shared\n"
    mine.write_text(f"{settings}    prefix: dev\n    zones: [us-central1-f]\n")
    own, theirs = from_file(tmp_path, "dev").google, from_file(tmp_path, "shared").google
    assert (own.project, own.region, own.bake_zones) == ("p", "us-central1", ("us-central1-f",))
    assert [own.bucket(purpose) for purpose in Bucket] == [theirs.bucket(purpose) for purpose in Bucket]
    assert [own.account(duty) for duty in Duty] == [theirs.account(duty) for duty in Duty]
    assert (own.table_id, own.topic_path) == (theirs.table_id, theirs.topic_path)
    assert (own.subnetwork_path, own.registry_id) == (theirs.subnetwork_path, theirs.registry_id)
    assert (own.prefix, own.repository, own.consumers) == ("dev", "", ())

    mine.write_text(f"{settings}    region: us-east1\n")
    with pytest.raises(InputError, match=r"google.region is set, but the infrastructure is that of the stack shared"):
        from_file(tmp_path, "dev")
    for name in ("dev", "nobody"):
        mine.write_text(settings.replace("shared", name))
        with pytest.raises(InputError, match=f"google.infrastructure is '{name}', which has no infrastructure"):
            from_file(tmp_path, "dev")
