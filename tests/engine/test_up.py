"""The daily course: preview, up, edits; what is baked, tested and promoted each time, by the real engine."""

from __future__ import annotations

import json

import pytest

from tests.engine.conftest import Start
from tests.support.workshop import Workshop, suite

ALL = {f"{kind} {name}" for kind in ("BakedImage", "FluidRunTest", "PromotedImage") for name in ("rcc-debian", "hpcc")}


def add_pair(workshop: Workshop) -> None:
    workshop.recipe("rcc-debian")
    workshop.recipe("hpcc", parent="rcc-debian")


@pytest.fixture
def pair(workshop: Workshop) -> Workshop:
    """The two packages of the dev stack in small: hpcc is baked from rcc-debian."""
    add_pair(workshop)
    return workshop


@pytest.fixture
def done(start: Start) -> Workshop:
    """Both images promoted."""

    def prepare(workshop: Workshop) -> None:
        add_pair(workshop)
        workshop.must_up()

    return start("pair", prepare)


def test_preview_of_an_empty_stack_creates_all_and_writes_nothing(pair: Workshop) -> None:
    assert pair.steps() == dict.fromkeys(ALL, "create")
    assert not (pair.folder / ".bakery" / "orders").exists()


def test_up_bakes_tests_and_promotes(done: Workshop) -> None:
    families = done.families()
    assert set(families) == {"rcc-debian", "hpcc"}
    assert done.outputs()["images"]["hpcc"]["image"] == families["hpcc"]
    assert done.library.find(families["hpcc"]).proof == "passed"  # type: ignore[union-attr]
    assert len(done.library.runs()) == 2


def test_a_second_up_changes_nothing(done: Workshop) -> None:
    before = {one["urn"]: one["modified"] for one in done.deployment()["resources"]}
    again = done.must_up()
    assert "unchanged" in again
    assert done.steps() == {}
    assert {one["urn"]: one["modified"] for one in done.deployment()["resources"]} == before
    assert done.bake_logs() == 2


def test_an_edit_of_install_sh_bakes_only_that_image_and_the_diff_names_it(done: Workshop) -> None:
    before = done.families()
    done.write("packages/hpcc/install.sh", "#!/bin/bash\nfalse || true\n")
    diff = done.preview("--diff")
    assert "install.sh" in next(
        line for line in diff.text.splitlines() if "~" in line and "=>" in line and ".sh" in line
    )
    assert "rcc-debian/install.sh" not in diff
    assert done.steps() == {
        "BakedImage hpcc": "replace",
        "FluidRunTest hpcc": "replace",
        "PromotedImage hpcc": "update",
    }
    done.must_up()
    after = done.families()
    assert after["rcc-debian"] == before["rcc-debian"]
    assert after["hpcc"] != before["hpcc"]
    old = done.library.find(before["hpcc"])
    assert old is not None
    assert old.state == "DEPRECATED"
    assert old.replacement == after["hpcc"]


def test_an_edit_of_a_test_only_tests_again(done: Workshop) -> None:
    before = done.families()
    done.write("packages/hpcc/test/run.sh", "#!/bin/bash\necho other\n")
    assert done.steps() == {"FluidRunTest hpcc": "replace"}
    done.must_up()
    assert done.families() == before
    assert done.bake_logs() == 2
    assert len(done.library.runs()) == 3


def test_an_edit_of_the_parent_bakes_both_parent_first(done: Workshop) -> None:
    before = done.families()
    done.write("packages/rcc-debian/install.sh", "#!/bin/bash\necho new\n")
    assert {name: step for name, step in done.steps().items() if name.startswith("Baked")} == {
        "BakedImage rcc-debian": "replace",
        "BakedImage hpcc": "replace",
    }
    done.must_up()
    after = done.families()
    assert set(before.values()).isdisjoint(after.values())
    made = {name: done.library.find(image) for name, image in after.items()}
    assert made["hpcc"].parent == after["rcc-debian"]  # type: ignore[union-attr]
    assert made["rcc-debian"].created <= made["hpcc"].created  # type: ignore[union-attr]


def test_a_reverted_edit_adopts_the_image_that_is_still_there(done: Workshop) -> None:
    first = done.families()["hpcc"]
    source = (done.folder / "packages/hpcc/install.sh").read_text(encoding="utf-8")
    done.write("packages/hpcc/install.sh", source + "echo more\n")
    done.must_up()
    done.write("packages/hpcc/install.sh", source)
    done.must_up()
    assert done.families()["hpcc"] == first
    assert done.library.find(first).state == "ACTIVE"  # type: ignore[union-attr]
    assert done.bake_logs() == 3
    assert len(done.library.runs(first)) == 1


def test_bad_recipes_are_all_named_and_nothing_else_is_said(pair: Workshop) -> None:
    pair.write("packages/hpcc/packer.json", "{")
    pair.write("packages/rcc-debian/fluidrun.yaml", "tests: 3\n")
    up = pair.up()
    assert up.code != 0
    assert "packages/hpcc/packer.json:1" in up
    assert "packages/rcc-debian/fluidrun.yaml:1" in up
    assert "Traceback" not in up


def test_a_wrong_setting_is_named(pair: Workshop) -> None:
    pair.extra = {"retentionDays": "soon", "ovn": "local"}
    up = pair.up()
    assert up.code != 0
    assert "retentionDays is 'soon'" in up
    assert up.text.count("Pulumi.dev.yaml:") >= 1
    assert "Traceback" not in up


def test_a_recipe_without_tests_is_promoted_with_a_warning(workshop: Workshop) -> None:
    workshop.recipe("plain", tests=False)
    up = workshop.must_up()
    assert "plain is promoted untested" in up
    image = workshop.library.find(workshop.families()["plain"])
    assert image is not None
    assert image.proof == "untested"
    assert workshop.resources("FluidRunTest") == []


def test_tests_that_come_later_test_the_image_that_is_there(workshop: Workshop) -> None:
    workshop.recipe("plain", tests=False)
    workshop.must_up()
    workshop.recipe("plain")
    assert workshop.steps() == {"FluidRunTest plain": "create"}
    workshop.must_up()
    assert workshop.bake_logs() == 1


def test_the_state_is_small_and_holds_no_secret(done: Workshop) -> None:
    resources = done.resources()
    assert len(resources) > 3
    for one in resources:
        held = json.dumps({"inputs": one["inputs"], "outputs": one["outputs"]})
        assert len(held) < 3000, held
        assert "ciphertext" not in held
        assert len(one["inputs"]["__provider"]) < 150
        assert one["inputs"]["urn"] == one["urn"]


def test_a_changed_suite_counts_as_a_changed_test(done: Workshop) -> None:
    jobs = suite("hpcc")
    jobs["tests"][0]["batch_options"] = "--time=5"
    done.write("packages/hpcc/fluidrun.yaml", json.dumps(jobs))
    assert done.steps() == {"FluidRunTest hpcc": "replace"}


def test_consumers_are_told_everything_and_the_variables_are_kept_as_versions(workshop: Workshop) -> None:
    workshop.recipe("hpcc")
    workshop.must_up()
    first = workshop.outputs()
    (run,) = workshop.library.runs()
    told = first["images"]["hpcc"]
    assert told["name"] == told["image"] == workshop.families()["hpcc"]
    assert (told["tested_at"], told["state"], told["revoked"], told["revoke_at"]) == (run.started, "ACTIVE", False, "")
    assert told["self_link"] == told["link"]
    folder = workshop.folder / ".bakery/outputs/image-bakery/dev"
    assert json.loads((folder / "images.auto.tfvars.json").read_text()) == first["rcc_tf"]
    workshop.must_up("--expect-no-changes")
    assert "Outputs:" not in workshop.preview().text
    assert len(list((folder / "versions").iterdir())) == 1
    workshop.write("packages/hpcc/install.sh", "#!/bin/bash\necho second\n")
    workshop.must_up()
    assert json.loads((folder / "images.auto.tfvars.json").read_text()) == workshop.outputs()["rcc_tf"]
    versions = [json.loads(file.read_text()) for file in (folder / "versions").iterdir()]
    assert len(versions) == 2 and first["rcc_tf"] in versions


def test_another_tier_of_the_stack_repeats_the_tests_with_its_sizes(done: Workshop) -> None:
    before = done.families()
    size = 'tiers:\n  full:\n    hpcc/smoke: {batch_options: "--nodes=2", time_limit: 2h}\n'
    done.write("packages/hpcc/recipe.yaml", size)
    assert done.steps() == {}, "the stack's tier is smoke"
    done.extra["cluster"] = {"tier": "full"}
    diff = done.preview("--diff")
    assert done.steps() == {"FluidRunTest hpcc": "replace"}
    assert '"full"' in next(line for line in diff.text.splitlines() if "tier" in line), diff.text
    done.must_up()
    assert (done.families(), done.bake_logs()) == (before, 2)
    (job,) = done.library.runs(before["hpcc"])[-1].jobs
    assert (job.row["test_tier"], job.row["batch_options"]) == ("full", "--nodes=2")
    assert done.up("--expect-no-changes").code == 0
