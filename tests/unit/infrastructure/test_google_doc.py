"""docs/google.md says what is declared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from bakery import __version__
from bakery.infrastructure.grants import COPIER, tables
from bakery.infrastructure.storage import KEEP_DAYS
from bakery.settings import GoogleSettings, from_file
from bakery.settings.google import DATASET, TABLE, Bucket, Duty
from tests.support.root import ROOT

PAGE = (ROOT / "docs" / "google.md").read_text()


def test_the_tables_of_identities_are_those_of_the_grants() -> None:
    match = re.search(
        r"<!-- rendered by bakery\.infrastructure\.grants\.tables -->\n(.*?)<!-- end -->", PAGE, re.DOTALL
    )
    assert match is not None
    assert match[1] == tables(), "render it anew: python -c 'from bakery.infrastructure.grants import tables; ...'"


def test_the_role_for_copies_is_made_with_its_permissions() -> None:
    (given,) = re.findall(r"gcloud iam roles create bakeryCopier .*\\\n  --permissions=(\S+)", PAGE)
    assert given == ",".join(COPIER)


@pytest.mark.parametrize("duty", Duty)
def test_every_account_is_told(duty: Duty) -> None:
    assert f"`{GoogleSettings().named(duty)}`" in PAGE


@pytest.mark.parametrize("purpose", Bucket)
def test_every_bucket_may_be_given(purpose: Bucket) -> None:
    assert f"`{purpose}`" in PAGE


def test_days_and_names_are_those_of_the_code() -> None:
    google = GoogleSettings(project="my-project", region="us-central1")
    assert f"sources are deleted after {KEEP_DAYS[Bucket.SOURCES]} days" in PAGE
    assert KEEP_DAYS[Bucket.LOGS] == 365 and "logs after a year" in PAGE
    assert f"gs://{google.bucket(Bucket.SOURCES)}/builder" in PAGE
    assert google.account(Duty.BUILDER) in PAGE
    for name in (GoogleSettings().named("events"), f"{DATASET}.{TABLE}"):
        assert f"`{name}`" in PAGE
    assert f"bakery:{__version__}" in (ROOT / "docs" / "rcc-run.md").read_text()


def test_what_the_tutorial_sets_makes_a_stack(tmp_path: Path) -> None:
    """The settings of its commands, put into the stack's file as Pulumi does it, are settings that parse."""
    config = yaml.safe_load((ROOT / "Pulumi.gcp.yaml").read_text())
    found = re.findall(r"pulumi config set --path '?image-bakery:([\w.\[\]]+)'? (\S+) --stack gcp", PAGE)
    assert len(found) >= 5
    for path, value in found:
        top, *rest = re.findall(r"\w+", path)
        place, key = config["config"], f"image-bakery:{top}"
        for step in rest:
            place = place.setdefault(key, [] if step.isdigit() else {})
            key = step
        if isinstance(place, list):
            place.append(value)
        else:
            place[key] = value
    (tmp_path / "Pulumi.gcp.yaml").write_text(yaml.safe_dump(config))
    settings = from_file(tmp_path, "gcp")
    assert settings.select == ("rcc-debian", "hpcc")
    assert settings.google.buckets == {"logs": "my-log-bucket"}
    assert settings.google.repository == "owner/name"
