"""A family that the settings hold at an image: back and forward again, without a bake."""

from __future__ import annotations

from bakery.library.base import Proof
from tests.engine.conftest import edit
from tests.engine.test_reasons import decisions
from tests.support.workshop import Workshop


def test_a_pin_takes_the_family_back_and_without_it_the_family_goes_forward_again(pair: Workshop) -> None:
    first = pair.families()["child"]
    edit(pair, "child")
    pair.must_up()
    second, baked = pair.families()["child"], pair.bake_logs()
    pair.extra["pins"] = {"child": first}
    text = f"adopted: pinned to {first}; a roll-back: {first} is older than {second}"
    assert [str(one) for one in decisions(pair)] == ["kept", text]
    assert text in pair.preview()
    assert pair.steps() == {"PromotedImage child": "update"}
    pair.must_up()
    assert pair.families()["child"] == first
    assert pair.outputs()["images"]["child"]["image"] == first
    assert pair.outputs()["images"]["child"]["digest"][:12] == first[-12:]
    assert pair.bake_logs() == baked
    assert pair.up("--expect-no-changes").code == 0
    assert [str(one) for one in decisions(pair)] == ["kept", f"kept: pinned to {first}"]
    assert f"kept: pinned to {first}" in pair.preview()

    edit(pair, "child", "once more")
    pair.must_up()
    assert pair.families()["child"] == first, "the recipe's image is baked and tested, not promoted"
    third = decisions(pair)[1].image.name
    assert pair.library.find(third).proof is Proof.PASSED  # type: ignore[union-attr]
    assert pair.library.find(first).state == "ACTIVE"  # type: ignore[union-attr]
    del pair.extra["pins"]
    assert pair.steps() == {"PromotedImage child": "update"}
    pair.must_up()
    assert pair.families()["child"] == third
    assert pair.up("--expect-no-changes").code == 0


def test_wrong_pins_are_refused_together_before_anything_changes(pair: Workshop) -> None:
    before = pair.families()
    edit(pair, "child")
    pair.must_up()
    now = pair.families()
    pair.library.record_test(before["child"], Proof.FAILED, "a" * 64)
    pair.extra["pins"] = {"child": before["child"], "base": now["child"], "chidl": before["child"]}
    edit(pair, "child", "not baked")
    for done in (pair.preview(), pair.up()):
        assert done.code != 0
        assert (
            f"Pulumi.dev.yaml:1: error: image-bakery:pins.child: {before['child']} failed its tests; pin another"
            in done
        )
        assert f"image-bakery:pins.base: {now['child']} is an image of child; pin an image of base" in done
        assert "image-bakery:pins.chidl: the plan has no such family; use one of: child" in done
        assert "Traceback" not in done
    pair.extra["pins"] = {"child": "child-000000000000"}
    assert "image-bakery:pins.child: child-000000000000 is not in the library" in pair.up()
    assert pair.families() == now


def test_a_pin_comes_before_its_image_is_baked(pair: Workshop) -> None:
    edit(pair, "child")
    coming = decisions(pair)[1].image.name
    pair.extra["pins"] = {"child": coming}
    pair.must_up()
    assert pair.families()["child"] == coming
    edit(pair, "child", "later")
    pair.must_up()
    assert pair.families()["child"] == coming


def test_children_of_a_pinned_family_are_baked_from_the_parent_of_the_plan_and_need_its_proof(pair: Workshop) -> None:
    first = pair.families()
    pair.extra["pins"] = {"base": first["base"]}
    pair.fake = {"tests": {"base": {"exit_codes": {"base/smoke": 1}}}}
    edit(pair, "base")
    up = pair.up()
    assert up.code != 0
    assert pair.families() == first, "the parent's present image has failed, the pinned one has not"
    pair.fake = {}
    pair.must_up()
    base, child = decisions(pair)
    assert pair.families() == {"base": first["base"], "child": child.image.name}
    assert pair.library.find(child.image.name).parent == base.image.name != first["base"]  # type: ignore[union-attr]


def test_an_urgent_pin_need_not_wait_for_a_bake_that_fails(pair: Workshop) -> None:
    """A resource waits for its parent, so that the whole ``up`` would come to the promotion only after the bake."""
    first = pair.families()["child"]
    edit(pair, "child")
    pair.must_up()
    edit(pair, "child", "broken")
    pair.fake = {"bakes": {"child": {"fail": "bake"}}}
    pair.extra["pins"] = {"child": first}
    pair.must_up("--target", "**PromotedImage::child")
    assert pair.families()["child"] == first
