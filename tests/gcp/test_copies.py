"""Copies in another project through the engine: preview, up, a missing role, roll-back, drift, revocation, destroy."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.backends import backend
from bakery.infrastructure.grants import COPIER_ROLE
from bakery.operations.prune import prune
from bakery.operations.revoke import revoke
from bakery.preview.plan_report import plan_report
from tests.gcp.stack import Stack, two_images

pytestmark = [pytest.mark.engine, pytest.mark.gcp]
IMAGES = "compute/compute/v1/projects/there/global/images"


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with two_images(tmp_path, tmp_path_factory.getbasetemp()) as made:
        made.workshop.extra["google"] |= {"repository": "", "copies": {"there": {"families": ["app*"]}}}
        yield made


def there(stack: Stack) -> dict[str, str]:
    """What the families of the other project point at."""
    images = [item for key, item in stack.server.cloud.items.items() if key.startswith(IMAGES)]
    return {one["family"]: one["name"] for one in images if "deprecated" not in one}


def copies(stack: Stack) -> list[str]:
    settings = stack.workshop.settings
    report = plan_report(settings, backend(settings).existing_library, project="image-bakery")
    return [*map(str, report.copies), *report.given_up]


def test_a_missing_role_stops_the_copy_only_and_the_next_up_makes_it(stack: Stack) -> None:
    shop, cloud = stack.workshop, stack.server.cloud
    cloud.conditions.elsewhere["there"] = set()
    refused = shop.up()
    assert refused.code != 0
    assert "Required 'compute.images." in refused and COPIER_ROLE in refused
    assert set(stack.families()) >= {"base", "app"}, "the own project is promoted all the same"
    assert there(stack) == {}
    image = stack.families()["app"]
    outputs = shop.outputs()["images"]["app"]
    assert (outputs["image"], outputs["copies"]) == (image, [])

    cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
    assert copies(stack) == [f"app@there will point at a copy of {image}"]
    assert copies(stack)[0] in shop.preview()
    assert shop.steps() == {"PromotedImage app@there": "create"}
    shop.must_up()
    assert there(stack) == {"app": image}
    (told,) = shop.outputs()["images"]["app"]["copies"]
    assert (told["project"], told["link"]) == ("there", f"projects/there/global/images/{image}")
    assert shop.up("--expect-no-changes").code == 0


@pytest.mark.slow
def test_copies_follow_the_stack(stack: Stack) -> None:
    shop, cloud = stack.workshop, stack.server.cloud
    cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
    shop.must_up()
    image = stack.families()["app"]
    shop.write("packages/app/install.sh", "#!/bin/bash\necho changed\n")
    shop.must_up()
    second = stack.families()["app"]
    assert there(stack) == {"app": second}
    shop.extra["pins"] = {"app": image}
    assert copies(stack) == [f"app@there will point at a copy of {image}; a roll-back: {image} is older than {second}"]
    assert shop.steps() == {"PromotedImage app": "update", "PromotedImage app@there": "update"}
    shop.must_up()
    assert there(stack) == {"app": image}

    cloud.items[f"{IMAGES}/{image}"]["labels"]["bakery-recipe"] = "other"
    assert shop.run("refresh", "--yes", "--skip-preview").code == 0
    assert shop.steps() == {"PromotedImage app@there": "update"}
    del cloud.items[f"{IMAGES}/{image}"]
    assert shop.steps() == {"PromotedImage app@there": "update"}, "also without a refresh"
    shop.must_up()
    assert there(stack) == {"app": image}

    del shop.extra["pins"]
    done = revoke(backend(shop.settings), second, "bad")
    assert done.copies.problems == ()
    assert (there(stack), cloud.items[f"{IMAGES}/{second}"]["deprecated"]["state"]) == ({"app": image}, "OBSOLETE")
    assert prune(backend(shop.settings), dry_run=True).copies.problems == ()

    shop.write("packages/app/install.sh", "#!/bin/bash\necho changed again\n")
    del shop.extra["google"]["copies"]
    assert copies(stack) == ["app@there"]
    assert shop.steps()["PromotedImage app@there"] == "delete"
    shop.must_up()
    assert there(stack) == {}
    assert "app@there" not in json.dumps(shop.outputs())
