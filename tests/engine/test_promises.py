"""What a family points at is proven and wanted, whatever options the engine is given."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from bakery.library.base import Proof
from tests.engine.conftest import edit
from tests.engine.test_drift import drift
from tests.support import workshop as shop
from tests.support.promotions import history
from tests.support.root import ROOT
from tests.support.workshop import Workshop

STACK = "image-bakery/dev"


def urn(workshop: Workshop, kind: str, name: str) -> str:
    (found,) = [one["urn"] for one in workshop.resources(kind) if one["urn"].endswith(f"::{name}")]
    return str(found)


def events(workshop: Workshop, family: str) -> list[str]:
    return [event["event"] for event in history(workshop.library, family)]


# -- no family gets an image without proof


def test_an_image_whose_test_is_excluded_is_not_promoted(pair: Workshop) -> None:
    before = pair.families()
    edit(pair, "child")
    up = pair.up("--exclude", urn(pair, "FluidRunTest", "child"))
    assert up.code != 0
    assert "child is not promoted: child-" in up
    assert " is untested" in up
    assert "run `pulumi up` without --target and --exclude" in up
    assert "Traceback" not in up
    assert pair.families() == before
    pair.must_up()
    assert pair.families()["child"] != before["child"]
    assert pair.steps() == {}


def test_a_targeted_promotion_needs_the_proof_too(pair: Workshop) -> None:
    before = pair.families()
    edit(pair, "child")
    targets = [urn(pair, kind, "child") for kind in ("BakedImage", "PromotedImage")]
    up = pair.up(*(word for target in targets for word in ("--target", target)))
    assert up.code != 0
    assert " is untested" in up
    assert pair.families() == before


def test_a_failed_test_that_is_left_out_of_the_next_up_still_counts(pair: Workshop) -> None:
    before = pair.families()
    pair.fake = {"tests": {"child": {"exit_codes": {"child/smoke": 1}}}}
    edit(pair, "child")
    assert pair.up().code != 0
    up = pair.up("--exclude", urn(pair, "FluidRunTest", "child"))
    assert up.code != 0
    assert " failed its tests" in up
    assert pair.families() == before


def test_no_child_of_an_unproven_parent_is_promoted_by_a_target(pair: Workshop) -> None:
    before = pair.families()
    pair.fake = {"tests": {"base": {"exit_codes": {"base/smoke": 1}}}}
    edit(pair, "base")
    assert pair.up().code != 0
    up = pair.up("--target", "**::child")
    assert up.code != 0
    assert "child is not promoted: base-" in up
    assert " failed its tests" in up
    assert pair.families() == before
    pair.fake = {}
    pair.must_up()
    assert set(pair.families().values()).isdisjoint(before.values())


def test_other_families_are_promoted_beside_one_without_proof(pair: Workshop) -> None:
    pair.recipe("alone")
    edit(pair, "child")
    up = pair.up("--exclude", urn(pair, "FluidRunTest", "child"))
    assert up.code != 0
    assert "alone" in pair.families()


def test_tests_that_another_stack_ran_are_not_in_the_way(pair: Workshop) -> None:
    """The last verdict is by other tests; these have passed before, so they are not run again."""
    before = pair.families()
    assert pair.run("destroy", "--yes", "--skip-preview").code == 0
    pair.library.record_test(before["child"], Proof.PASSED, "f" * 64)
    runs = len(pair.library.runs())
    pair.must_up()
    assert pair.families() == before
    assert len(pair.library.runs()) == runs


# -- no family loses its image while a stack wants it


def test_a_replaced_promotion_keeps_the_family(pair: Workshop) -> None:
    """Its predecessor is deleted after it was created, and must not release what was just promoted."""
    edit(pair, "child")
    pair.must_up()
    before = pair.families()
    promotion = urn(pair, "PromotedImage", "child")
    for option in ("--replace", "--target-replace"):
        pair.must_up(option, promotion)
        assert pair.families() == before
    taint = pair.run("state", "taint", "--yes", promotion)
    assert taint.code == 0, taint.text
    pair.must_up()
    assert pair.families() == before
    assert events(pair, "child") == ["promoted", "promoted"]
    assert pair.steps() == {}


def test_a_renamed_resource_keeps_the_family(pair: Workshop) -> None:
    before = pair.families()
    rename = pair.run("state", "rename", urn(pair, "PromotedImage", "child"), "former", "--yes")
    assert rename.code == 0, rename.text
    pair.must_up()
    assert pair.families() == before
    assert len(pair.resources("PromotedImage")) == 2
    assert sorted(want.family for want in pair.library.wants()) == ["base", "child"]


def test_a_resource_of_another_parent_keeps_the_family(pair: Workshop) -> None:
    """As if another version declared promotions below another resource: the engine makes a new one, then deletes it."""
    before, file = pair.families(), pair.folder / "state.json"
    state = json.loads(pair.run("stack", "export").text)
    resources = state["deployment"]["resources"]
    (root,) = [one for one in resources if one["type"] == "pulumi:pulumi:Stack"]
    (promotion,) = [one for one in resources if one["urn"].endswith("PromotedImage::child")]
    kind = promotion["type"]
    promotion |= {"urn": f"urn:pulumi:dev::image-bakery::{kind}::child", "parent": root["urn"]}
    file.write_text(json.dumps(state), encoding="utf-8")
    done = pair.run("stack", "import", "--file", str(file))
    assert done.code == 0, done.text
    assert pair.steps().keys() == {"PromotedImage child"}
    pair.must_up()
    assert pair.families() == before
    assert sorted(want.family for want in pair.library.wants()) == ["base", "child"]
    assert pair.steps() == {}


def test_a_renamed_stack_wants_and_releases_under_its_new_name(pair: Workshop) -> None:
    rename = pair.run("stack", "rename", "other")
    assert rename.code == 0, rename.text
    renamed = Workshop(pair.folder, pair.env, stack="other")
    edit(renamed, "child")
    renamed.must_up()
    child = renamed.families()["child"]
    assert [want.stack for want in renamed.library.wants() if want.image == child] == ["image-bakery/other"]
    assert renamed.run("destroy", "--yes", "--skip-preview").code == 0
    assert renamed.families() == {}
    assert list(renamed.library.wants()) == []


def test_an_image_that_another_stack_wants_is_not_deprecated(pair: Workshop) -> None:
    other = shop.init(Workshop(pair.folder, pair.env, stack="second"))
    other.must_up()
    before = pair.families()
    destroy = pair.run("destroy", "--yes", "--skip-preview")
    assert destroy.code == 0, destroy.text
    assert pair.families() == before
    for name in before.values():
        assert pair.library.find(name).state == "ACTIVE"  # type: ignore[union-attr]
    assert {want.stack for want in pair.library.wants()} == {"image-bakery/second"}
    assert other.steps() == {}


def test_a_stack_of_before_registers_when_it_is_refreshed(pair: Workshop) -> None:
    other = shop.init(Workshop(pair.folder, pair.env, stack="second"))
    other.must_up()
    before = pair.families()
    with pair.library.database.writing() as connection:  # as an older version left it
        connection.execute("DELETE FROM wants WHERE stack = ?", (STACK,))
    assert pair.run("refresh", "--yes", "--skip-preview").code == 0
    assert other.run("destroy", "--yes", "--skip-preview").code == 0
    assert pair.families() == before
    assert pair.run("destroy", "--yes", "--skip-preview").code == 0
    assert pair.families() == {}


# -- no older image comes into service by itself


def test_a_package_that_leaves_select_leaves_no_family_behind(pair: Workshop) -> None:
    """Not even one that points at an older image that was proven."""
    first = pair.families()["child"]
    edit(pair, "child")
    pair.must_up()
    pair.extra["select"] = ["base"]
    assert pair.steps() == {f"{kind} child": "delete" for kind in ("BakedImage", "FluidRunTest", "PromotedImage")}
    preview = pair.preview()
    assert f"child will point at nothing (now: {pair.families()['child']})" in preview
    assert "if an up leaves it: bakery recover --withdraw child" in preview
    pair.must_up()
    assert "child will point at nothing" not in pair.preview()
    assert set(pair.families()) == {"base"}
    assert pair.library.find(first).state == "DEPRECATED"  # type: ignore[union-attr]


def test_a_promotion_that_was_taken_out_of_the_state_is_found_and_given_back(pair: Workshop) -> None:
    """No engine withdraws what the stack wants then."""
    command = [str(ROOT / ".venv/bin/bakery"), "recover", "--stack", "dev", "--withdraw", "child"]
    early = subprocess.run(command, cwd=pair.folder, env=pair.env, capture_output=True, text=True, check=False)
    assert early.returncode == 1 and "has a promotion of child in its state" in early.stderr
    deleted = pair.run("state", "delete", urn(pair, "PromotedImage", "child"), "--yes")
    assert deleted.code == 0, deleted.text
    pair.extra["select"] = ["base"]
    pair.must_up()
    assert set(pair.families()) == {"base", "child"}
    said = drift(pair, 3)
    assert "untracked: child: is wanted by the stack image-bakery/dev, whose state has no promotion of it" in said
    done = subprocess.run(command, cwd=pair.folder, env=pair.env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "child now points at no image\n")
    assert set(pair.families()) == {"base"}
    assert drift(pair, 0) == "no drift\n"
    again = subprocess.run(command, cwd=pair.folder, env=pair.env, capture_output=True, text=True, check=False)
    assert (again.returncode, again.stderr.partition(";")[0].partition("\n")[0]) == (
        1,
        "error: the stack image-bakery/dev has not registered the family child",
    )


def test_a_renamed_family_leaves_nothing_at_the_former_name(pair: Workshop) -> None:
    edit(pair, "child")
    pair.must_up()
    folder = pair.folder / "packages" / "child"
    shutil.move(folder, Path(pair.folder) / "child-of-before")
    pair.recipe("heir", parent="base")
    pair.must_up()
    assert set(pair.families()) == {"base", "heir"}


def test_destroy_leaves_no_family_behind(pair: Workshop) -> None:
    edit(pair, "child")
    pair.must_up()
    destroy = pair.run("destroy", "--yes", "--skip-preview")
    assert destroy.code == 0, destroy.text
    assert pair.families() == {}
