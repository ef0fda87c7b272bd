"""A stack in a project of its own takes what the stack of another project has proven, through the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.infrastructure.grants import TAKER_GRANTS
from bakery.library.compute_engine.library import ComputeEngineLibrary
from bakery.results.model import Verdict
from tests.gcp.stack import Stack, two_images
from tests.support import workshop as shop
from tests.support.workshop import Workshop

pytestmark = [pytest.mark.engine, pytest.mark.gcp, pytest.mark.slow]


@pytest.fixture
def stack(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with two_images(tmp_path, tmp_path_factory.getbasetemp()) as made:
        made.workshop.extra["google"] |= {"repository": "", "takers": ["bakery-deploy@q.iam.gserviceaccount.com"]}
        yield made


def test_prod_takes_what_dev_has_proven(stack: Stack) -> None:
    dev, cloud = stack.workshop, stack.server.cloud
    dev.must_up()
    granted = {
        one["role"]: one["members"] for one in cloud.policies["storage/storage/v1/b/p-bakery-artifacts"]["bindings"]
    }
    assert "serviceAccount:bakery-deploy@q.iam.gserviceaccount.com" in granted["roles/storage.objectViewer"]
    app = stack.families()["app"]
    google = {**dev.extra["google"], "project": "q"}
    del google["takers"]
    elsewhere = {"packages": "none", "common": "none", "lock": "none.lock"}
    extra = {"oven": "cloud-build", "google": google, "from": "gcp", **elsewhere}
    prod = Workshop(dev.folder, dev.env, extra=extra, stack="prod", state=".prod", provider=dev.provider)
    shop.init(prod)
    cloud.conditions.elsewhere["p"] = set()
    refused = prod.preview()
    assert (refused.code != 0, "gcloud projects add-iam-policy-binding p" in refused) == (True, True), refused.text
    cloud.conditions.elsewhere["p"] = {grant.role for grant in TAKER_GRANTS}
    assert f"app: {app} from gcp, proven " in prod.preview()
    prod.must_up()
    there = "compute/compute/v1/projects/q/global/images"
    made = {one["name"]: one.get("family") for one in cloud.below(there)}
    assert made == {stack.families()["base"]: "base", app: "app"}
    assert prod.outputs()["images"]["app"]["instance_image"] == {"name": app, "project": "q"}
    assert prod.up("--expect-no-changes").code == 0

    for key in elsewhere:
        del prod.extra[key]
    prod.extra["from"] = {"stack": "gcp", "smoke": True}
    prod.must_up()
    for name, image in stack.families().items():
        (proof,) = ComputeEngineLibrary(dev.settings).runs(image)
        same, own = ComputeEngineLibrary(prod.settings).runs(image)
        assert (same.run_id, own.verdict, own.run_id != proof.run_id) == (proof.run_id, Verdict.PASSED, True), name
    assert prod.up("--expect-no-changes").code == 0
