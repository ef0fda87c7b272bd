"""A channel: one more family for the images of a recipe, moved by approvals and pins, without a bake."""

from __future__ import annotations

from bakery.backends import backend
from bakery.library.base import ImageState
from bakery.plan.image_labels import FIRST_LABEL
from bakery.preview.plan_report import plan_report
from tests.engine.conftest import edit
from tests.support.workshop import Workshop


def plan(workshop: Workshop) -> list[str]:
    """What the plan says of the channels."""
    report = plan_report(workshop.settings, backend(workshop.settings).existing_library, project="image-bakery")
    return [*map(str, report.channels), *report.given_up]


def test_a_channel_waits_moves_and_is_given_up(pair: Workshop) -> None:
    first, baked = pair.families()["child"], pair.bake_logs()
    stable = f"child-stable-{first[-12:]}"
    pair.extra |= {"channels": {"stable": ["child"]}, "approval": ["*-stable"]}
    waits = "waits for approval: bakery approve child-stable"
    assert plan(pair) == [f"channel child-stable points at nothing; {waits}"]
    assert f"{first} {waits}" in pair.must_up()
    assert "child-stable" not in pair.families()
    pair.extra["approved"] = {"child-stable": first}
    assert plan(pair) == [f"channel child-stable will point at {stable}; made from {first}"]
    preview = pair.preview()
    assert plan(pair)[0] in preview
    assert pair.steps() == {"PromotedImage child-stable": "create"}
    pair.must_up()
    assert (pair.families()["child-stable"], pair.bake_logs()) == (stable, baked)
    told = pair.outputs()["images"]["child-stable"]
    assert (told["image"], told["channel"], told["tested"]) == (stable, "stable", True)
    assert told["link"] == pair.outputs()["images"]["child"]["link"], "they share the file"
    assert plan(pair) == [f"channel child-stable points at {stable}"]
    assert pair.up("--expect-no-changes").code == 0

    del pair.extra["approval"], pair.extra["approved"]
    pair.extra["rollout"] = {"*-stable": 24}
    edit(pair, "child")
    pair.must_up()
    second = pair.families()["child"]
    assert second != first
    assert pair.families()["child-stable"] == stable
    (text,) = plan(pair)
    assert text.startswith(f"channel child-stable points at {stable}; waits until ")
    assert text in pair.preview()
    pair.library.relabel(second, {FIRST_LABEL: "0"})  # as if it were long ago
    assert pair.steps() == {"PromotedImage child-stable": "update"}
    pair.must_up()
    stable = f"child-stable-{second[-12:]}"
    assert pair.families()["child-stable"] == stable

    del pair.extra["channels"], pair.extra["rollout"]
    assert plan(pair) == ["child-stable"]
    assert pair.steps() == {"PromotedImage child-stable": "delete"}
    pair.must_up()
    assert "child-stable" not in pair.families()
    found = pair.library.find(stable)
    assert found is not None and found.state is ImageState.DEPRECATED
