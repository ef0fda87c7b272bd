from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakery.library.base import ImageRecord, Proof
from bakery.plan.model import ImagePlan, Plan
from bakery.plan.plan import make
from bakery.preview.decide import changes, decide, forecast
from bakery.preview.model import Action, Decision
from bakery.recipe.model import Recipe
from tests.support.every import every
from tests.support.plan_builders import LOCK, recipe, recipes, settings

PARENT, CHILD = recipe("base"), recipe("app", "base")


def plan_of(*given: Recipe, **values: Any) -> Plan:
    return make(settings(**values), recipes(*given), LOCK)


def record(image: ImagePlan, **changes: Any) -> ImageRecord:
    made = ImageRecord(
        name=image.name,
        digest=image.digest,
        package=image.package,
        variant=image.variant,
        candidate_for=image.family,
        created="2030-01-01T00:00:00Z",
        family=image.family,
        proof=Proof.PASSED,
        inputs=image.inputs,
    )
    return replace(made, **changes)


def library(plan: Plan, **changes: Any) -> tuple[list[ImageRecord], dict[str, str]]:
    return [record(image, **changes) for image in plan.images], {image.family: image.name for image in plan.images}


def edited(given: Recipe, path: str, **changes: Any) -> Recipe:
    files = tuple(replace(entry, **changes) if entry.path == path else entry for entry in given.files)
    assert files != given.files
    return replace(given, files=files)


def actions(decisions: tuple[Decision, ...]) -> list[Action]:
    return [decision.action for decision in decisions]


def test_nothing_changed_is_kept() -> None:
    plan = plan_of(PARENT, CHILD)
    found = decide(plan.images, *library(plan))
    assert actions(found) == [Action.KEEP, Action.KEEP]
    assert every(decision.reasons == () for decision in found)


def test_an_edit_bakes_the_child_alone_and_names_the_file() -> None:
    before = plan_of(PARENT, CHILD)
    after = plan_of(PARENT, edited(CHILD, "packages/app/install.sh", sha256="0" * 64))
    found = decide(after.images, *library(before))
    assert actions(found) == [Action.KEEP, Action.BAKE]
    assert found[1].reasons == ("packages/app/install.sh changed",)


def test_an_edit_of_the_parent_bakes_both_and_says_so() -> None:
    before = plan_of(PARENT, CHILD)
    after = plan_of(edited(PARENT, "packages/base/install.sh", mode=0o644), CHILD)
    found = decide(after.images, *library(before))
    assert actions(found) == [Action.BAKE, Action.BAKE]
    assert found[0].reasons == ("packages/base/install.sh is no longer executable",)
    assert found[1].reasons == ("parent base is baked",)


def test_a_change_of_ones_own_is_named_beside_the_parents() -> None:
    before = plan_of(PARENT, CHILD)
    changed = [edited(one, f"packages/{one.name}/install.sh", sha256="0" * 64) for one in (PARENT, CHILD)]
    found = decide(plan_of(*changed).images, *library(before))
    assert found[1].reasons == ("parent base is baked", "packages/app/install.sh changed")


def test_an_image_is_compared_with_what_its_family_points_at_and_else_with_the_latest_candidate() -> None:
    first, tried = PARENT, edited(PARENT, "packages/base/install.sh", sha256="1" * 64)
    now = edited(tried, "packages/base/share/motd", sha256="2" * 64)
    (promoted,), (candidate,), (wanted,) = (plan_of(one).images for one in (first, tried, now))
    images = [record(promoted), record(candidate, family="", proof=Proof.FAILED)]
    (found,) = decide([wanted], images, {"base": promoted.name})
    assert found.reasons == ("packages/base/install.sh changed", "packages/base/share/motd changed")
    (found,) = decide([wanted], images, {})
    assert found.reasons == ("packages/base/share/motd changed",)


def test_every_kind_of_reason() -> None:
    before = plan_of(CHILD, PARENT)
    other = recipe("app", "base", substitutions={"_COMPILER": "intel"})
    other = replace(other, files=(*other.files[:2], replace(other.files[2], path="packages/app/share/issue")))
    (_, found) = decide(plan_of(PARENT, other, nonce={"app": "1"}).images, *library(before))
    assert set(found.reasons) == {
        "variable compiler changed from gcc@12 to intel",
        "packages/app/share/issue is new",
        "packages/app/share/motd is gone",
        "forced by a new nonce",
    }


def test_another_base_is_named() -> None:
    assert list(changes({"base a": "1", "f": "2"}, {"base b": "3", "f": "2"})) == ["base a became b"]
    assert list(changes({"base a": "1"}, {"base a": "2"})) == ["base a changed"]


def test_a_first_image_says_so() -> None:
    (found,) = decide(plan_of(PARENT).images, [], {})
    assert (found.action, found.reasons) == (Action.BAKE, ("base has no image yet",))


def test_a_changed_test_only_tests() -> None:
    before = plan_of(PARENT)
    after = plan_of(edited(PARENT, "packages/base/test/run.sh", sha256="1" * 64))
    (tests,) = [image.tests for image in before.images]
    assert tests is not None
    (found,) = decide(after.images, *library(before), {before.images[0].name: tests.digest[:12]})
    assert (found.action, found.reasons) == (Action.TEST, ("tests changed",))
    passed = {before.images[0].name: tests.inputs}
    (named,) = decide(after.images, *library(before), {before.images[0].name: tests.digest[:12]}, passed)
    assert named.reasons == ("packages/base/test/run.sh changed",)
    (same,) = decide(before.images, *library(before), {before.images[0].name: tests.digest[:12]})
    assert same.action is Action.KEEP


@pytest.mark.parametrize(
    ("proof", "reason"), [(Proof.UNTESTED, "baked, and not tested yet"), (Proof.FAILED, "the last Fluid-Run failed")]
)
def test_a_candidate_is_only_tested(proof: Proof, reason: str) -> None:
    plan = plan_of(PARENT)
    images, _ = library(plan, proof=proof, family="")
    (found,) = decide(plan.images, images, {})
    assert (found.action, found.reasons) == (Action.TEST, (reason,))


def test_an_image_that_is_there_and_proven_is_adopted() -> None:
    plan = plan_of(PARENT)
    images, _ = library(plan, family="")
    (found,) = decide(plan.images, images, {"base": "base-other"})
    assert found.action is Action.ADOPT


@pytest.mark.parametrize(
    ("known", "tests", "action"),
    [
        ({}, "same", Action.ADOPT),
        ({}, "other", Action.TEST),
        ({"proof": Proof.UNTESTED}, "same", Action.TEST),
    ],
    ids=["proven", "by other tests", "untested"],
)
def test_an_image_of_the_same_digest_is_not_baked_again(known: dict[str, Any], tests: str, action: Action) -> None:
    (image,) = plan_of(PARENT).images
    twin = record(image, **{"name": "before-1", "family": "before", "candidate_for": "before", **known})
    proven = {"before-1": image.tests_digest if tests == "same" else tests}
    (found,) = decide([image], [twin], {"before": "before-1"}, proven)
    assert found.action is action
    if action is Action.ADOPT:
        assert found.reasons == (
            f"the library has before-1 already, base will point at the same content as {image.name}",
        )
    (found,) = decide([image], [record(image, family="", proof=Proof.UNTESTED), twin], {}, proven)
    assert found.action is action, "what was joined and not tested yet"
    (found,) = decide([image], [twin, record(image, proof=Proof.FAILED)], {"base": image.name}, {})
    assert found.action is Action.TEST, "it has a verdict of its own"


@pytest.mark.parametrize(("tested", "action"), [(True, Action.TEST), (False, Action.ADOPT)])
def test_a_digest_that_is_twice_in_the_plan_is_baked_once_where_images_share_a_file(
    tested: bool, action: Action
) -> None:
    (image,) = plan_of(PARENT).images
    first, second = (replace(image, family=name, name=f"{name}-1") for name in ("one", "two"))
    if not tested:
        first, second = replace(first, tests=None, tests_digest=""), replace(second, tests=None, tests_digest="")
    decided = decide([first, second], [], {}, shared=True)
    assert actions(decided) == [Action.BAKE, action]
    assert decided[1].reasons == ("one-1, which is baked, has the same digest",)
    assert actions(decide([first, second], [], {})) == [Action.BAKE, Action.BAKE], "on Compute Engine"


def test_on_compute_engine_another_family_needs_an_image_of_its_own() -> None:
    (image,) = plan_of(PARENT).images
    short = image.digest[:32]  # the length of a label
    twin = record(image, name="before-1", family="before", digest=short)
    (found,) = decide([image], [twin], {"before": "before-1"})
    assert found.action is Action.BAKE
    assert found.reasons == ("before-1 has the same digest, but an image of Compute Engine has one family only",)
    (found,) = decide([image], [twin, record(image, digest=short, proof=Proof.UNTESTED)], {})
    assert found.action is Action.TEST


def test_unknown_inputs_are_said() -> None:
    before = plan_of(PARENT)
    images, families = library(before, inputs={})
    (found,) = decide(plan_of(edited(PARENT, "packages/base/install.sh", sha256="1" * 64)).images, images, families)
    assert found.reasons == (f"it is not known what {before.images[0].name} was baked from",)


@pytest.mark.parametrize("count", [20, 21, 500])
def test_more_than_twenty_reasons_are_cut_and_the_rest_is_counted(count: int) -> None:
    before = plan_of(PARENT)
    gone = {f"file {index}": "" for index in range(count)}
    images, _ = library(before, name="base-0", digest="0" * 64, inputs={**before.images[0].inputs, **gone})
    (found,) = decide(before.images, images, {"base": "base-0"})
    rest = (f"and {count - 20} more",) if count > 20 else ()
    assert found.reasons == (*(f"file {index} is gone" for index in range(20)), *rest)


def test_forecast_adds_up_along_the_longest_chain() -> None:
    plan = plan_of(PARENT, CHILD, recipe("leaf", "app"), recipe("other"))
    found = forecast(decide(plan.images, [], {}), {"base": 100.0, "app": 50.0, "other": 120.0})
    assert found.total == 270.0
    assert (found.critical, found.critical_path) == (150.0, ("base", "app"))
    assert found.unknown == ("leaf",)


def test_forecast_counts_only_what_is_baked() -> None:
    plan = plan_of(PARENT, CHILD)
    found = forecast(decide(plan.images, *library(plan)), {"base": 100.0, "app": 50.0})
    assert (found.total, found.critical, found.critical_path, found.unknown) == (0.0, 0.0, (), ())
