"""An `up` that has used what its limits allow begins nothing more, and the next one continues."""

from __future__ import annotations

from bakery.library.base import Proof
from tests.support.workshop import Workshop


def test_what_the_limits_leave_is_named_and_the_next_up_does_it(workshop: Workshop) -> None:
    """Each image takes one machine to bake, and four to test: the second cluster is one too many."""
    workshop.recipe("base")
    workshop.recipe("child", parent="base")
    workshop.fake = {"bakes": {"child": {"seconds": 5}}}  # so that the test of the parent begins first
    workshop.extra = {"limits": {"machines": 6}}
    warned = "image-bakery:limits.machines: bakes and tests need at least 10 machines, the limit is 6"
    assert warned in workshop.preview()
    first = workshop.up()
    assert first.code != 0
    child = next(image for image in workshop.library.images() if image.candidate_for == "child")
    left = "it needs 4 of 6 machines, of which 6 were used (limits.machines)"
    assert f"the test of {child.name} was not begun: {left}" in first
    assert "hint: the next run continues from here" in first
    assert "Traceback" not in first
    assert list(workshop.families()) == ["base"]
    assert child.proof is Proof.UNTESTED
    assert list(workshop.library.runs(child.name)) == [], "no run is recorded that did not begin"
    assert workshop.pending() == []
    workshop.must_up()
    assert sorted(workshop.families()) == ["base", "child"]
    assert workshop.bake_logs() == 2, "nothing was baked again"


def test_running_work_ends_when_the_seconds_are_used_up(workshop: Workshop) -> None:
    workshop.recipe("base")
    workshop.recipe("child", parent="base")
    workshop.recipe("long")
    workshop.fake = {"bakes": {"base": {"seconds": 3}, "long": {"seconds": 8}}}
    workshop.extra = {"limits": {"machineSeconds": 4}}
    first = workshop.up()
    assert first.code != 0
    baked = {image.candidate_for for image in workshop.library.images()}
    assert baked == {"base", "long"}, "what ran has ended, and nothing began"
    assert first.text.count(" of 4 seconds of machines are used (limits.machineSeconds)") >= 2
    workshop.fake, workshop.extra = {}, {}
    workshop.must_up()
    assert sorted(workshop.families()) == ["base", "child", "long"]
    assert workshop.bake_logs() == 3
