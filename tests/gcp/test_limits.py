"""A stack in a project with small quotas, which bakes on spot machines: preview and ``up`` with the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.plan.image_labels import MACHINE_LABEL
from tests.fake_google import builds
from tests.fake_google.builds import Course
from tests.gcp.stack import two_images

BUILDS = "cloudbuild/v1/projects/p/builds"


def test_quotas_are_compared_before_anything_begins(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with two_images(tmp_path, tmp_path_factory.getbasetemp()) as stack:
        cloud, workshop = stack.server.cloud, stack.workshop
        builds.script(cloud, lambda _build: Course(seconds=0.2, preempted=True))
        workshop.extra["google"]["spot"] = True
        cloud.conditions.quota = {"INSTANCES": 5}
        cloud.conditions.caller = ""  # the project's owner
        preview = workshop.preview()
        assert preview.code == 0, preview.text
        waits = "bakes and tests may need 5 INSTANCES of us-central1 at the same time"
        assert waits not in preview, "they fit"
        cloud.conditions.quota = {"INSTANCES": 3, "E2_CPUS": 1}
        refused = workshop.preview()
        assert refused.code == 0, refused.text
        assert "packages/base/packer.json:1: warning: base will not be baked: its machine needs 2 E2_CPUS of" in refused
        failed = workshop.up()
        assert failed.code != 0
        assert "needs 2 E2_CPUS of at most 1 in us-central1" in failed
        assert cloud.below(BUILDS) == [], "no build was submitted"
        cloud.conditions.quota = {}
        workshop.must_up()
        assert sorted(stack.families()) == ["app", "base"]
        labels = {cloud.items[key]["labels"][MACHINE_LABEL] for key in stack.items("projects/p/global/images/")}
        assert labels == {"standard"}, "every spot machine was taken back"
        assert [build["status"] for build in cloud.below(BUILDS)].count("FAILURE") == 2
        assert workshop.steps() == {}
