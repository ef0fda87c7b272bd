"""A family that asks for an approval: its candidate is baked and tested, and waits."""

from __future__ import annotations

from bakery.library.base import Proof
from tests.engine.test_reasons import decisions
from tests.support.workshop import Workshop


def edit(workshop: Workshop, name: str) -> None:
    workshop.write(f"packages/{name}/install.sh", "#!/bin/bash\necho edited\n")


def test_a_candidate_waits_until_it_is_approved(workshop: Workshop) -> None:
    workshop.recipe("base")
    workshop.recipe("child", parent="base")
    workshop.extra["approval"] = ["base"]
    up = workshop.must_up()
    base, child = (decision.image.name for decision in decisions(workshop))
    assert f"{base} waits for approval: bakery approve base" in up
    assert workshop.families() == {"child": child}, "its parent is proven, which no consumer of the child sees"
    assert workshop.library.find(base).proof is Proof.PASSED  # type: ignore[union-attr]
    assert set(workshop.outputs()["images"]) == {"child"}
    assert [str(one) for one in decisions(workshop)] == ["kept: waits for approval: bakery approve base", "kept"]
    assert "kept: waits for approval: bakery approve base" in workshop.preview()
    assert workshop.up("--expect-no-changes").code == 0

    workshop.extra["approved"] = {"base": base}
    assert workshop.steps() == {"PromotedImage base": "create"}
    workshop.must_up()
    assert workshop.families() == {"base": base, "child": child}

    edit(workshop, "base")
    workshop.must_up()
    new = decisions(workshop)[0].image.name
    assert new != base
    assert workshop.families()["base"] == base
    assert workshop.library.find(base).state == "ACTIVE"  # type: ignore[union-attr]
    workshop.library.promote(new, "base")  # somebody goes past the approval
    assert workshop.steps() == {"PromotedImage base": "update"}
    workshop.must_up()
    assert workshop.families()["base"] == base
    workshop.extra["approved"] = {"base": new}
    workshop.must_up()
    assert workshop.families()["base"] == new
    assert workshop.up("--expect-no-changes").code == 0
    assert workshop.run("destroy", "--yes", "--skip-preview").code == 0
    assert workshop.families() == {}


def test_an_image_that_fails_is_not_promoted_by_its_approval(workshop: Workshop) -> None:
    workshop.recipe("base")
    workshop.fake = {"tests": {"base": {"exit_codes": {"base/smoke": 1}}}}
    workshop.extra |= {"approval": ["*"], "approved": {"base": decisions(workshop)[0].image.name}}
    assert workshop.up().code != 0
    assert workshop.families() == {}
