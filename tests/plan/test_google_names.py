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
