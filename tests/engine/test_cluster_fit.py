"""Versions of Slurm that do not fit: promotions into a cluster that runs, and images of one cluster."""

from __future__ import annotations

import json

from bakery.library.versions import of_labels
from bakery.preview.plan_report import plan_report
from tests.engine.conftest import edit
from tests.support.workshop import Workshop


def slurm(workshop: Workshop, **versions: str) -> None:
    """Let the tests of packages find these versions."""
    workshop.fake = {"tests": {name: {"versions": {"slurm": version}} for name, version in versions.items()}}


def errors(workshop: Workshop) -> list[str]:
    """The errors of ``bakery plan``."""
    report = plan_report(workshop.settings, lambda: workshop.library)
    return [problem.message for problem in report.problems if problem.severity == "error"]


def test_a_promotion_that_does_not_fit_the_running_cluster_is_refused_and_the_family_stays(pair: Workshop) -> None:
    before = pair.families()
    pair.extra["cluster"] = {"slurm": "22.05.8"}
    slurm(pair, base="23.11.4", child="23.11.4")
    edit(pair, "base")
    assert errors(pair) == [], "what is not baked yet is not known"
    done = pair.up()
    new = {one.candidate_for: one.name for one in pair.library.images() if of_labels(one.labels)}
    why = f"child is not promoted: {new['child']} does not fit the cluster of cluster.slurm: slurmd 23.11.4 is newer"
    assert done.code != 0 and why in done, done.text
    assert "Traceback" not in done
    assert pair.families() == {"base": new["base"], "child": before["child"]}, "the controller may be newer"
    assert pair.outputs()["images"]["base"]["versions"] == {"slurm": "23.11.4"}

    baked = pair.bake_logs()
    text = f"child will not be promoted: {new['child']} does not fit the cluster of cluster.slurm"
    assert [one[: len(text)] for one in errors(pair)] == [text]
    preview = pair.preview()
    assert preview.code == 0 and text in preview, preview.text
    assert pair.up().code != 0
    assert (pair.families()["child"], pair.bake_logs()) == (before["child"], baked)

    pair.extra["cluster"] = {"slurm": "23.11.4"}  # the controller was upgraded
    assert errors(pair) == []
    pair.must_up()
    assert pair.families() == new
    assert pair.up("--expect-no-changes").code == 0


def test_images_that_cannot_be_one_cluster_are_refused_by_preview_and_outputs(pair: Workshop) -> None:
    first, stored = pair.families(), pair.outputs()["rcc_tf"]
    slurm(pair, base="22.05.8", child="23.11.4")
    edit(pair, "base")
    done = pair.up()
    images = pair.families()
    assert images.keys() == first.keys() and images != first
    why = f"partition child of {images['child']} and the controller of {images['base']} cannot be one cluster"
    assert done.code != 0 and why in done, done.text
    assert "Traceback" not in done
    file = pair.folder / ".bakery/outputs/image-bakery/dev/images.auto.tfvars.json"
    assert json.loads(file.read_text()) == stored, "consumers keep the cluster that works"
    assert pair.outputs()["rcc_tf"] != json.loads(file.read_text())
    preview = pair.preview()
    assert preview.code != 0 and why in preview, preview.text
    assert [one[: len(why)] for one in errors(pair)] == [why]

    pair.extra["cluster"] = {"partitions": ["base"]}  # the child is not for this cluster
    assert pair.preview().code == 0
    pair.must_up()
    assert [one["name"] for one in pair.outputs()["rcc_tf"]["partitions"]] == ["base"]


def test_the_plan_and_the_preview_name_the_images_that_cannot_be_compared(pair: Workshop) -> None:
    pair.extra["cluster"] = {"slurmGcp": "v6"}
    expected = [
        f"{name} is not compared with the cluster: its Slurm is not recorded" for name in pair.families().values()
    ]
    report = plan_report(pair.settings, lambda: pair.library)
    assert sorted(one.message for one in report.problems if "is not compared" in one.message) == sorted(expected)
    preview = pair.preview()
    assert preview.code == 0
    assert len(expected) == 2 and sorted(text for text in expected if text in preview) == sorted(expected), preview.text
