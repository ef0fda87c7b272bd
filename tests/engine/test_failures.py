"""What fails ends its own branch, says all a person needs, and leaves the families as they were."""

from __future__ import annotations

import json

import pytest

from tests.engine.conftest import Start
from tests.support.workshop import Workshop, suite


@pytest.fixture
def tree(start: Start) -> Workshop:
    """A parent with a child, and a package that stands alone; all promoted."""

    def prepare(workshop: Workshop) -> None:
        workshop.recipe("rcc-debian")
        workshop.recipe("hpcc", parent="rcc-debian")
        workshop.recipe("alone")
        workshop.must_up()

    return start("tree", prepare)


def edit(workshop: Workshop, *names: str) -> None:
    for name in names:
        workshop.write(f"packages/{name}/install.sh", "#!/bin/bash\necho edited\n")


def test_a_failing_bake_says_all_and_the_other_branches_go_on(tree: Workshop) -> None:
    before = tree.families()
    tree.fake = {"bakes": {"rcc-debian": {"fail": "bake"}}}
    edit(tree, "rcc-debian", "alone")
    up = tree.up()
    assert up.code != 0
    assert "was not baked" in up
    assert "| fake: baking: provisioner 2 of 2" in up
    assert "log: " in up
    assert "replay: " in up
    assert "Traceback" not in up
    assert "Exception calling application" not in up
    after = tree.families()
    assert after["alone"] != before["alone"]
    assert {name: after[name] for name in ("rcc-debian", "hpcc")} == {
        name: before[name] for name in ("rcc-debian", "hpcc")
    }
    assert tree.library.find(before["rcc-debian"]).state == "ACTIVE"  # type: ignore[union-attr]
    assert tree.pending() == []
    images = tree.outputs()["images"]
    assert images["rcc-debian"]["image"] == before["rcc-debian"]
    assert images["hpcc"]["image"] == before["hpcc"]


def test_a_branch_that_is_long_under_way_is_finished_when_another_fails(tree: Workshop) -> None:
    before = tree.families()
    tree.fake = {"bakes": {"rcc-debian": {"fail": "bake"}, "alone": {"seconds": 8}}}
    edit(tree, "rcc-debian", "alone")
    assert tree.up().code != 0
    assert tree.families()["alone"] != before["alone"]


def test_after_the_cause_is_gone_the_next_up_goes_on(tree: Workshop) -> None:
    tree.fake = {"bakes": {"rcc-debian": {"fail": "bake"}}}
    edit(tree, "rcc-debian")
    assert tree.up().code != 0
    tree.fake = {}
    before = tree.families()
    tree.must_up()
    after = tree.families()
    assert after["rcc-debian"] != before["rcc-debian"]
    assert after["hpcc"] != before["hpcc"]


def test_a_failing_test_keeps_the_candidate_and_the_next_up_only_tests_again(tree: Workshop) -> None:
    before = tree.families()
    bakes = tree.bake_logs()
    tree.fake = {"tests": {"hpcc": {"exit_codes": {"hpcc/smoke": 1}}}}
    edit(tree, "hpcc", "alone")
    up = tree.up()
    assert up.code != 0
    assert tree.families()["hpcc"] == before["hpcc"]
    assert tree.families()["alone"] != before["alone"]
    assert tree.library.find(before["hpcc"]).state == "ACTIVE"  # type: ignore[union-attr]
    assert tree.bake_logs() == bakes + 2
    tree.fake = {}
    steps = tree.steps()
    assert "BakedImage hpcc" not in steps
    assert steps["FluidRunTest hpcc"] == "replace"
    tree.must_up()
    assert tree.bake_logs() == bakes + 2
    assert tree.families()["hpcc"] != before["hpcc"]


def test_no_child_of_an_unproven_parent_is_promoted(tree: Workshop) -> None:
    before = tree.families()
    tree.fake = {"tests": {"rcc-debian": {"exit_codes": {"rcc-debian/smoke": 1}}}}
    edit(tree, "rcc-debian")
    assert tree.up().code != 0
    assert tree.families() == before


def test_a_job_that_an_upgrade_loses_keeps_the_family(tree: Workshop) -> None:
    before = tree.families()
    tree.fake = {"tests": {"alone": {"lost": ["upgrade/queued-debug-0"]}}}
    tree.write("packages/alone/fluidrun.yaml", json.dumps({**suite("alone"), "upgrade": True}))
    edit(tree, "alone")
    up = tree.up()
    assert up.code != 0
    assert f"the upgrade of a cluster of {before['alone']} lost 1 of 5 jobs: upgrade/queued-debug-0 (job 3 on" in up
    assert tree.families() == before
    tree.fake = {}
    tree.must_up()
    assert tree.families()["alone"] != before["alone"]
    newest = max(tree.library.runs(), key=lambda run: run.started)
    assert [job.row["command_group"] for job in newest.jobs] == ["alone", *["upgrade"] * 5]


def test_results_of_a_failed_run_are_stored(tree: Workshop) -> None:
    tree.fake = {"tests": {"alone": {"exit_codes": {"alone/smoke": 3}}}}
    edit(tree, "alone")
    assert tree.up().code != 0
    newest = max(tree.library.runs(), key=lambda run: run.started)
    assert newest.verdict == "failed"
