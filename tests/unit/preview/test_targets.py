from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bakery.library.base import ImageRecord, ImageState, Proof, Revocation
from bakery.library.proof import ANY_TESTS
from bakery.plan.image_labels import FAILURE_LABEL, FIRST_LABEL, RECIPE_LABEL, SOURCE_LABEL
from bakery.plan.model import Plan
from bakery.preview import drift
from bakery.preview.check import check
from bakery.preview.model import Action, Channel, Decision, Target
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import channels, families_of, proofs, targets
from bakery.recipe.model import Variant
from tests.support.plan_builders import recipe, settings
from tests.unit.preview.test_decide import CHILD, PARENT, library, plan_of, record

PLAN = plan_of(PARENT, CHILD)
BASE, APP = PLAN.images
OLD_BASE = replace(record(BASE), name="base-000000000000", digest="0" * 64)
OLD = replace(record(APP), name="app-000000000000", digest="0" * 64, parent=OLD_BASE.name)


def held(*images: ImageRecord, now: ImageRecord | None = None) -> LibrarySnapshot:
    """A library with these images, oldest first, then those of the plan; the families point at the latter."""
    records, families = library(PLAN)
    proven = {image.name: "other tests" for image in images} | {image.name: image.tests_digest for image in PLAN.images}
    families |= {now.candidate_for: now.name} if now else {}
    return LibrarySnapshot((*images, *records), families, proven)


def messages(snapshot: LibrarySnapshot, plan: Plan = PLAN, **pinned: str) -> list[str]:
    return [str(problem) for problem in check(settings(pins=pinned), plan.images, snapshot)]


def decide(snapshot: LibrarySnapshot, plan: Plan = PLAN, **values: Any) -> tuple[Decision, ...]:
    return snapshot.decide(plan.images, targets(settings(**values), plan.images, snapshot))


def decided(snapshot: LibrarySnapshot, pin: str) -> Decision:
    return decide(snapshot, pins={"app": pin})[1]


def test_a_family_goes_back_by_a_pin_and_stays_there() -> None:
    back = decided(held(OLD), OLD.name)
    assert (back.action, back.target) == (Action.ADOPT, Target(OLD.name, f"pinned to {OLD.name}"))
    assert back.reasons == (f"pinned to {OLD.name}", f"a roll-back: {OLD.name} is older than {APP.name}")
    assert decided(held(OLD, now=OLD), OLD.name).action is Action.KEEP
    assert decide(held(OLD, now=OLD))[1].action is Action.ADOPT, "forward again"


def test_a_pin_to_a_newer_image_is_no_roll_back() -> None:
    snapshot = held(OLD, now=OLD)
    assert decided(snapshot, APP.name).reasons[0] == f"pinned to {APP.name}"
    assert decided(snapshot, APP.name).action is Action.ADOPT
    assert decided(held(OLD), APP.name).action is Action.KEEP


def test_the_recipes_own_image_is_baked_and_tested_beside_a_pin() -> None:
    snapshot = LibrarySnapshot((OLD_BASE, OLD), {"app": OLD.name})
    decision = decided(snapshot, OLD.name)
    assert decision.action is Action.BAKE
    assert decision.reasons[0] == f"pinned to {OLD.name}"
    failed = replace(record(APP), proof=Proof.FAILED)
    decision = decided(LibrarySnapshot((OLD, record(BASE), failed), {"app": OLD.name}), OLD.name)
    assert (decision.action, decision.reasons[1]) == (Action.TEST, "the last Fluid-Run failed")


def test_every_pin_that_cannot_be_honoured_is_a_problem() -> None:
    missing, other = "app-111111111111", OLD.name
    assert messages(held(OLD_BASE, OLD), apq=OLD.name, app=missing, base=other) == [
        f"Pulumi.dev.yaml:1: error: image-bakery:pins.app: {missing} is not in the library; pin another image "
        "(see: bakery library), or remove the pin: bakery promote app",
        "Pulumi.dev.yaml:1: error: image-bakery:pins.apq: the plan has no such family; use one of: app",
        f"Pulumi.dev.yaml:1: error: image-bakery:pins.base: {other} is an image of app; pin an image of base; "
        "see: bakery library",
    ]


@pytest.mark.parametrize(
    ("changed", "why"), [({"proof": Proof.FAILED}, "failed its tests"), ({"proof": Proof.UNTESTED}, "is untested")]
)
def test_a_pinned_image_and_its_ancestors_have_passed_some_tests(changed: dict[str, Proof], why: str) -> None:
    assert messages(held(OLD_BASE, OLD), app=OLD.name) == []
    for images in ((OLD_BASE, replace(OLD, **changed)), (replace(OLD_BASE, **changed), OLD)):
        (message,) = messages(held(*images), app=OLD.name)
        assert why in message
    assert messages(held(OLD), app=OLD.name) == [], "an ancestor that is gone had been proven"


def test_an_image_whose_recipe_has_no_tests_needs_none_unless_it_failed() -> None:
    plan = plan_of(PARENT, replace(CHILD, suite=None))
    untested = replace(OLD, proof=Proof.UNTESTED)
    assert messages(held(untested), plan, app=OLD.name) == []
    assert messages(held(replace(untested, proof=Proof.FAILED)), plan, app=OLD.name) != []


def test_an_obsolete_image_can_be_pinned_and_one_of_the_plan_need_not_exist() -> None:
    assert messages(held(replace(OLD, state=ImageState.OBSOLETE)), app=OLD.name) == []
    assert messages(LibrarySnapshot(), app=APP.name) == []


def test_the_proofs_of_a_pin_are_those_of_the_ancestors_that_exist_the_oldest_first() -> None:
    planned = {image.family: image for image in PLAN.images}
    found = proofs(OLD.name, planned, held(replace(OLD_BASE, parent="debian-12-20300101"), OLD))
    assert [*found.items()] == [(OLD_BASE.name, ANY_TESTS), (OLD.name, ANY_TESTS)]
    loop = replace(OLD, parent=OLD.name)
    assert proofs(OLD.name, planned, held(loop)) == {OLD.name: ANY_TESTS}


def waiting(snapshot: LibrarySnapshot, plan: Plan = PLAN, **approved: str) -> Decision:
    return decide(snapshot, plan, approval=["ap*"], approved=approved)[1]


def test_a_proven_image_waits_for_its_approval_and_the_family_stays() -> None:
    decision = waiting(held(OLD, now=OLD))
    assert decision.target == Target(OLD.name, "waits for approval: bakery approve app", "approval")
    assert (decision.action, decision.reasons) == (Action.KEEP, ("waits for approval: bakery approve app",))
    assert waiting(held(OLD, now=OLD), app=APP.name).action is Action.ADOPT
    assert decide(held(OLD, now=OLD), approval=["ap*"])[0].target is None, "it needs none"


def test_the_first_image_of_a_family_waits_too() -> None:
    records, _ = library(PLAN)
    snapshot = LibrarySnapshot(tuple(records), {}, {image.name: image.tests_digest for image in PLAN.images})
    decision = waiting(snapshot)
    assert (decision.action, decision.target and decision.target.image) == (Action.KEEP, "")


def test_an_image_is_baked_and_tested_before_it_is_approved() -> None:
    decision = waiting(LibrarySnapshot((OLD,), {"app": OLD.name}))
    assert (decision.action, decision.reasons[0]) == (Action.BAKE, "waits for approval: bakery approve app")


def test_the_image_that_was_approved_last_counts_not_where_somebody_moved_the_family() -> None:
    other = replace(OLD, name="app-111111111111")
    for snapshot in (held(OLD, other, now=other), LibrarySnapshot((OLD, other), {"app": other.name})):
        target = waiting(snapshot, app=OLD.name).target
        assert target and target.image == OLD.name
    failed = replace(OLD, proof=Proof.FAILED)
    for snapshot in (held(failed, other, now=other), held(other, now=other)):
        target = waiting(snapshot, app=OLD.name).target
        assert target and target.image == other.name, "without proof, or gone: the family stays where it is"


def test_a_revoked_image_gives_way_to_one_that_the_family_had_and_not_to_the_one_that_waits() -> None:
    older = replace(OLD, name="app-111111111111", family="app")
    candidate = replace(record(APP), family="")
    revoked = {"000000000000": Revocation(OLD.name, OLD.name, "bad", "2030-01-01", "2030-01-01")}
    snapshot = replace(held(older, OLD, now=OLD), revoked=revoked)
    snapshot = replace(snapshot, images=(*snapshot.images[:-1], candidate))
    decision = waiting(snapshot)
    assert decision.target and decision.target.image == older.name
    assert (decision.action, decision.reasons[1]) == (Action.ADOPT, f"{OLD.name} is revoked: bad")
    decision = waiting(replace(snapshot, images=snapshot.images[1:]))
    assert decision.target and decision.target.image == ""
    assert decision.reasons[1] == f"{OLD.name} is revoked: bad, and there is no other image"


def test_an_image_that_was_promoted_before_approvals_were_asked_for_stays() -> None:
    assert waiting(held()).target is None
    assert waiting(held()).action is Action.KEEP


def test_a_pin_counts_more_than_an_approval() -> None:
    decision = decide(held(OLD), approval=["*"], pins={"app": OLD.name}, approved={"app": APP.name})[1]
    assert decision.target == Target(OLD.name, f"pinned to {OLD.name}")


def test_a_pattern_of_approvals_that_fits_nothing_is_a_problem() -> None:
    (problem,) = check(settings(approval=["app*", "hpc"]), PLAN.images, held())
    assert str(problem) == (
        "Pulumi.dev.yaml:1: error: image-bakery:approval: no family of the plan matches 'hpc'; "
        "use * or one of: app, base"
    )


def of_channel(image: ImageRecord) -> ImageRecord:
    """The image of the channel ``app-stable`` with the content of another one."""
    name = f"app-stable-{image.name[-12:]}"
    return replace(image, name=name, candidate_for="app-stable", labels={SOURCE_LABEL: image.name})


def channel(snapshot: LibrarySnapshot, **values: Any) -> Channel:
    given = settings(channels={"stable": ["ap*"]}, **values)
    (found,) = channels(given, PLAN.images, snapshot, targets(given, PLAN.images, snapshot))
    return found


def test_a_channel_follows_its_recipe_and_not_the_pin_of_the_family() -> None:
    own = f"app-stable-{APP.digest[:12]}"
    found = channel(held(OLD), pins={"app": OLD.name})
    assert found == Channel("app-stable", "app", APP.name, own, Action.ADOPT, (f"made from {APP.name}",))
    now = replace(held(of_channel(record(APP))), families={"app-stable": own})
    assert channel(now) == Channel("app-stable", "app", APP.name, own, Action.KEEP)


def test_a_channel_is_pinned_and_approved_as_a_family_is() -> None:
    new, old = of_channel(record(APP)), of_channel(OLD)
    snapshot = replace(held(OLD, old, new), families={"app-stable": new.name})
    found = channel(snapshot, pins={"app-stable": OLD.name})
    assert (found.source, found.image, found.action) == (OLD.name, old.name, Action.ADOPT)
    assert found.reasons == (
        f"made from {OLD.name}",
        f"pinned to {OLD.name}",
        f"a roll-back: {OLD.name} is older than {APP.name}",
    )
    snapshot = replace(snapshot, families={"app-stable": old.name})
    waits = channel(snapshot, approval=["*-stable"])
    assert (waits.image, waits.action) == (old.name, Action.KEEP)
    assert waits.reasons == ("waits for approval: bakery approve app-stable",)
    assert channel(snapshot, approval=["*-stable"], approved={"app-stable": APP.name}).image == new.name
    first = channel(held(OLD), approval=["*-stable"])
    assert (first.source, first.image, first.action) == ("", "", Action.KEEP)


def test_a_channel_stays_where_it_is_when_the_image_it_was_made_from_is_gone() -> None:
    old = of_channel(OLD)
    snapshot = replace(held(old), families={"app-stable": old.name})
    waits = channel(snapshot, approval=["*-stable"])
    assert (waits.source, waits.image, waits.action) == (old.name, old.name, Action.KEEP)


def test_pins_of_a_channel_name_images_of_its_recipe() -> None:
    given = settings(channels={"stable": ["app"]}, pins={"app-stable": BASE.name})
    (problem,) = check(given, PLAN.images, held())
    assert f"pins.app-stable: {BASE.name} is an image of base; pin an image of app" in str(problem)
    assert check(replace(given, pins={"app-stable": OLD.name}), PLAN.images, held(OLD)) == ()


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"stable": ["apq"]}, "channels.stable: no family of the plan matches 'apq'; use * or one of: app, base"),
        ({"in-use": ["app"]}, "channels.in-use: invalid name of a channel"),
        ({"Stable": ["app"]}, "channels.Stable: invalid Compute Engine name 'app-Stable' of a family"),
        ({"s" * 50: ["app"]}, f"channels.{'s' * 50}: family 'app-{'s' * 50}' has 54 characters; shorten it to 50"),
    ],
)
def test_channels_that_cannot_be_are_problems(wrong: dict[str, list[str]], why: str) -> None:
    (problem,) = check(settings(channels=wrong), PLAN.images, held())
    assert f"image-bakery:{why}" in str(problem)


def test_a_channel_never_takes_the_family_of_a_recipe() -> None:
    plan = plan_of(PARENT, CHILD, recipe("app-stable", "base"))
    given = settings(channels={"stable": ["app"]})
    (problem,) = check(given, plan.images, held())
    assert "channels.stable: a recipe makes the family app-stable" in str(problem)
    assert families_of(given, plan.images)["app-stable"].package == "app-stable"


def rolling(now: str, app: str = APP.name, rule: object = 24, **changes: Any) -> Channel:
    """The channel of a staged roll-out that points at the old image; ``changes`` are those of the new one's record."""
    began = {FIRST_LABEL: str(int(datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()))}
    labels = {**drift.expected_labels(APP), **changes.pop("labels", began)}
    new = replace(record(APP), created="2030-01-01T00:00:00Z", labels=labels, **changes)
    families = {"app": app, "app-stable": of_channel(OLD).name}
    snapshot = LibrarySnapshot((OLD, of_channel(OLD), new), families, now=now)
    return channel(snapshot, rollout={"*-stable": rule})


NOON = "2030-01-02T12:00:00Z"


def test_a_staged_roll_out_waits_for_its_hours_and_goes_on() -> None:
    waits = rolling("2030-01-02T11:59:59Z")
    assert (waits.image, waits.action) == (of_channel(OLD).name, Action.KEEP)
    assert waits.reasons == ("waits until 2030-01-02 12:00 UTC, 24 hours after app",)
    named = rolling("2030-01-02T11:59:59Z", rule={"first": ["app-a", "app-b"]})
    assert named.reasons == ("waits until 2030-01-02 12:00 UTC, 24 hours after app (partitions: app-a, app-b)",)
    moves = rolling(NOON)
    assert (moves.source, moves.action, moves.reasons) == (APP.name, Action.ADOPT, (f"made from {APP.name}",))
    assert rolling("2030-01-02T00:00:00Z", labels={}).source == APP.name, "promoted before there was a roll-out"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"labels": {FAILURE_LABEL: "no-boot"}}, f"stopped, a failure of {APP.name} was reported: no-boot"),
        ({"proof": Proof.FAILED}, f"stopped, {APP.name} failed its tests"),
        ({"labels": {FIRST_LABEL: "noon"}}, f"stopped, the label {FIRST_LABEL} of {APP.name} is not a time: noon"),
        (
            {"labels": {FIRST_LABEL: "9" * 60}},
            f"stopped, the label {FIRST_LABEL} of {APP.name} is not a time: {'9' * 60}",
        ),
        ({"app": OLD.name}, "waits for 24 hours after app"),
        (
            {"labels": {RECIPE_LABEL: "other"}},
            f"stopped, {APP.name} has other labels than it was baked with: bakery-recipe is other: "
            "pulumi refresh --stack dev, then pulumi up --stack dev",
        ),
    ],
)
def test_a_staged_roll_out_stops(changes: dict[str, Any], why: str) -> None:
    stopped = rolling("2030-02-01T00:00:00Z", **changes)
    assert (stopped.source, stopped.reasons) == (OLD.name, (why,))


def test_a_staged_roll_out_moves_at_once_what_points_at_nothing_and_keeps_what_has_the_image() -> None:
    rollout = {"*-stable": 24}
    assert channel(replace(held(), now=NOON), rollout=rollout).source == APP.name
    done = replace(record(APP), labels={FAILURE_LABEL: "too-late"})
    now = LibrarySnapshot((done, of_channel(record(APP))), {"app-stable": of_channel(record(APP)).name}, now=NOON)
    assert channel(now, rollout=rollout).reasons == ()


def test_a_roll_out_that_cannot_begin_is_a_problem() -> None:
    given = settings(rollout={"apq": 1, "app*": 2}, channels={"stable": ["app"]})
    assert [str(problem).partition("image-bakery:")[2] for problem in check(given, PLAN.images, held())] == [
        "rollout: no family of the plan matches 'apq'; use one of: app, app-stable, base",
        "rollout: no family goes before app; leave its family or a channel of it out of rollout",
    ]


def test_partitions_that_go_first_need_a_channel_that_the_others_use() -> None:
    given = settings(rollout={"app": {"first": ["app"]}}, channels={"stable": ["app"]})
    (problem,) = check(given, PLAN.images, held())
    assert "rollout.app: first is for partitions that use a channel, and no channel matches" in str(problem)


def test_settings_are_checked_without_a_library_but_for_the_images_of_pins() -> None:
    given = settings(
        pins={"app": "app-000000000000", "apq": "apq-1"},
        approval=["hpc"],
        channels={"stable": ["apq"]},
        rollout={"app": 1, "apq": 1},
    )
    assert [
        str(problem).partition("image-bakery:")[2].partition(";")[0] for problem in check(given, PLAN.images, None)
    ] == [
        "pins.apq: the plan has no such family",
        "approval: no family of the plan matches 'hpc'",
        "rollout: no family of the plan matches 'apq'",
        "rollout: no family goes before app",
        "channels.stable: no family of the plan matches 'apq'",
    ]


def owned(snapshot: LibrarySnapshot, *approved_by: str) -> Decision:
    """The decision for an image of a recipe with owners, which the settings approve."""
    plan = plan_of(PARENT, replace(CHILD, variants=(Variant(owners=("cfd", "Ann@example.com")),)))
    held = replace(snapshot, approvals={"app": approved_by})
    return decide(held, plan, approval=["ap*"], approved={"app": APP.name})[1]


def test_an_approval_in_the_settings_counts_only_if_an_owner_approved() -> None:
    asks = "waits for approval by ann@example.com: bakery approve app"
    for others in ((), ("bob@example.com",), ("",)):
        decision = owned(held(OLD, now=OLD), *others)
        assert (decision.action, decision.target) == (Action.KEEP, Target(OLD.name, asks, "approval"))
    assert owned(held(OLD, now=OLD), "bob@example.com", "ANN@example.com").action is Action.ADOPT
    nothing = replace(held(), families={})
    assert owned(nothing).target == Target("", asks, "approval"), "not even the first image"
    assert owned(held(OLD)).target is None, "the family points at it already"


def test_without_owners_that_are_known_every_approval_in_the_settings_counts() -> None:
    snapshot = replace(held(OLD, now=OLD), approvals={"app": ()})
    assert waiting(snapshot, app=APP.name).action is Action.ADOPT
    fresh = LibrarySnapshot(approvals={})
    assert waiting(fresh, app=APP.name).target is None
