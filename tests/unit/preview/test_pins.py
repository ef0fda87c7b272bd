from __future__ import annotations

from dataclasses import replace

import pytest

from bakery.library.base import ImageRecord, ImageState, Proof
from bakery.library.proof import ANY_TESTS
from bakery.plan.model import Plan
from bakery.preview import pins
from bakery.preview.model import Action, Decision
from bakery.preview.snapshot import LibrarySnapshot
from tests.support.plan_builders import settings
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
    return [str(problem) for problem in pins.check(settings(pins=pinned), plan.images, snapshot)]


def decided(snapshot: LibrarySnapshot, pin: str) -> Decision:
    return snapshot.decide(PLAN.images, {"app": pin})[1]


def test_a_family_goes_back_by_a_pin_and_stays_there() -> None:
    back = decided(held(OLD), OLD.name)
    assert (back.action, back.pin) == (Action.ADOPT, OLD.name)
    assert back.reasons == (f"pinned to {OLD.name}, a roll-back: it is older than {APP.name}",)
    assert decided(held(OLD, now=OLD), OLD.name).action is Action.KEEP
    assert held(OLD, now=OLD).decide(PLAN.images, {})[1].action is Action.ADOPT, "forward again"


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
    found = pins.proofs(OLD.name, planned, held(replace(OLD_BASE, parent="debian-12-20300101"), OLD))
    assert [*found.items()] == [(OLD_BASE.name, ANY_TESTS), (OLD.name, ANY_TESTS)]
    loop = replace(OLD, parent=OLD.name)
    assert pins.proofs(OLD.name, planned, held(loop)) == {OLD.name: ANY_TESTS}
