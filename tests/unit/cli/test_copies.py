"""Commands of a stack whose images are copied into another project."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from bakery.backends import backend
from bakery.cli.app import make_app
from bakery.cli.options import settings_of
from bakery.infrastructure.grants import COPIER_ROLE
from bakery.library.base import Proof, Want
from tests.fake_google import compute
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout

IMAGES = "compute/compute/v1/projects/{}/global/images"


def run(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(make_app(arguments[0]), [*arguments, "--stack", "gcp"])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def there(checkout: Checkout, cloud: FakeServer) -> FakeServer:
    """Both families of the plan point at a second image, here and there."""
    google = {
        "project": "p",
        "region": "us-central1",
        "endpoint": cloud.url,
        "copies": {"there": {}},
        "zones": ["us-central1-a"],
    }
    checkout.settings("gcp", oven="cloud-build", google=google)
    cloud.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
    library = backend(settings_of("gcp")).library()
    for family in ("base", "app"):
        for number in (1, 2):
            name = f"{family}-{family[0]}{number}"
            labels = {"bakery-digest": name, "bakery-family": family}
            compute.add_image(cloud.cloud, IMAGES.format("p"), {"name": name, "labels": labels})
            library.record_test(name, Proof.PASSED, "t")
            for address in (family, f"{family}@there"):
                library.promote(name, address, Want("image-bakery/gcp", address, name, "t"))
    return cloud


def test_a_copy_is_named_for_scripts_and_for_clusters(there: FakeServer) -> None:
    link = "projects/there/global/images/app-a2"
    found = run("image", "app", "--project", "there", "--format", "self-link")
    assert found == (0, f"https://www.googleapis.com/compute/v1/{link}\n", "")
    done = run("tfvars", "--project", "there")
    assert done[0] == 0, done
    variables = json.loads(done[1])
    assert (variables["project"], variables["partitions"][0]["image"]) == ("there", link)
    del there.cloud.items[f"{IMAGES.format('there')}/base-b2"]
    code, _, error = run("tfvars", "--project", "there")
    assert (code, error.partition("\n")[0]) == (1, "error: no copy in the project there of base")


def test_drift_names_what_happened_to_a_copy(there: FakeServer) -> None:
    there.cloud.items[f"{IMAGES.format('there')}/app-a2"]["deprecated"] = {"state": "DEPRECATED"}
    code, lines, _ = run("drift")
    assert code == 3
    text = "app@there: points at no image instead of a copy of app-a2 (DEPRECATED, wanted by image-bakery/gcp)"
    assert text in lines
    assert [line for line in lines.splitlines() if "@there" in line] == [
        line for line in lines.splitlines() if "app@there" in line
    ]


def test_a_revocation_and_a_prune_say_what_became_of_copies_and_fail_without_the_role(there: FakeServer) -> None:
    conditions = there.cloud.conditions
    conditions.elsewhere["there"] = set()
    code, lines, error = run("revoke", "app-a2", "--reason", "bad")
    assert (code, "family app: app-a2 -> app-a1" in lines) == (1, True)
    assert "Required 'compute.images.list' permission" in error and COPIER_ROLE in error
    conditions.elsewhere["there"] = {COPIER_ROLE}
    would = run("prune", "--dry-run")
    assert "family app@there: app-a2 -> app-a1" in would[1]
    code, lines, error = run("prune")
    assert (code, error) == (0, "")
    assert "family app@there: app-a2 -> app-a1\ncopy app-a2 in there: OBSOLETE: its original is OBSOLETE\n" in lines
    assert "@there" not in run("prune")[1]
