"""Which images may go: one test for each rule of the decision, and that applying it takes only those."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bakery.library.base import ImageRecord, ImageState, Proof, Want
from bakery.library.local.repair import repair
from bakery.library.retention import Step, next_steps, prune
from bakery.settings.retention import EVERY_FAMILY, Retention
from tests.unit.library.conftest import Kitchen

NOW = datetime(2026, 6, 1, tzinfo=UTC)
RULES = {EVERY_FAMILY: Retention(30)}
LONG_AGO = "2026-01-01T00:00:00Z"
DEPRECATED, OBSOLETE, DELETED = ImageState.DEPRECATED, ImageState.OBSOLETE, ImageState.DELETED


def image(name: str, state: ImageState = DEPRECATED, proof: Proof = Proof.UNTESTED, parent: str = "") -> ImageRecord:
    return ImageRecord(name, name * 8, "some", "", "rcc", LONG_AGO, state=state, proof=proof, parent=parent, size=10)


def fates(
    *images: ImageRecord,
    pointers: Mapping[str, str] | None = None,
    since: str = LONG_AGO,
    needed: Mapping[str, str] | None = None,
    wants: Sequence[Want] = (),
    **rule: Any,
) -> dict[str, Step]:
    times = {found.name: since for found in images}
    rules = {EVERY_FAMILY: Retention(**rule)}
    steps = next_steps(images, pointers or {}, times, NOW, rules, needed=needed, wants=wants)
    return {step.image.name: step for step in steps}


def test_an_active_image_is_not_even_looked_at() -> None:
    assert fates(image("a", ImageState.ACTIVE)) == {}


def test_what_was_deleted_already_is_not_even_looked_at() -> None:
    assert fates(image("a", DELETED)) == {}


def test_an_old_deprecated_image_goes() -> None:
    assert fates(image("a"))["a"].to is DELETED


@pytest.mark.parametrize(
    ("day", "state", "to"),
    [
        ("2026-05-03", DEPRECATED, None),  # 29 days
        ("2026-05-02", DEPRECATED, OBSOLETE),  # 30
        ("2026-05-02", OBSOLETE, None),
        ("2026-04-26", DEPRECATED, OBSOLETE),  # 36
        ("2026-04-26", OBSOLETE, None),
        ("2026-04-25", OBSOLETE, DELETED),  # 37: 30 and a week
        ("2026-04-25", DEPRECATED, DELETED),
    ],
)
def test_it_becomes_obsolete_after_the_retention_and_goes_a_week_later(
    day: str, state: ImageState, to: ImageState | None
) -> None:
    assert fates(image("a", state), since=f"{day}T00:00:00Z")["a"].to is to


@pytest.mark.parametrize(
    ("day", "state", "why"),
    [
        ("2026-05-12", DEPRECATED, "not old enough: OBSOLETE in 10 days"),
        ("2026-04-30", DEPRECATED, "not wanted for 32 days, deleted in 5"),
        ("2026-04-30", OBSOLETE, "not old enough: deleted in 5 days"),
        ("2026-01-02", OBSOLETE, "not wanted for 150 days"),
    ],
)
def test_it_is_told_how_long_an_image_is_still_there(day: str, state: ImageState, why: str) -> None:
    assert fates(image("a", state), since=f"{day}T00:00:00Z")["a"].why == why


@pytest.mark.parametrize(
    ("since", "to"),
    [
        ("2026-05-01T23:00:00-07:00", None),  # 6 hours of the 30th day are missing
        ("2026-05-01T23:00:00+00:00", OBSOLETE),
        ("2026-05-02T07:00:00+07:00", OBSOLETE),
    ],
)
def test_the_hour_of_another_time_zone_is_taken_as_what_it_is(since: str, to: ImageState | None) -> None:
    assert fates(image("a"), since=since)["a"].to is to


def test_a_retention_of_no_days_lets_it_go_at_once() -> None:
    assert fates(image("a"), since="2026-06-01T00:00:00Z", days=0)["a"].to is DELETED


def test_an_image_whose_deprecation_nobody_dated_stays() -> None:
    steps = next_steps([image("a")], {}, {}, NOW, RULES)
    assert steps[0].to is None


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"pointers": {"rcc": "a"}}, "the family rcc points at it"),
        ({"needed": {"a": "the disk d was made from it"}}, "the disk d was made from it"),
        ({"wants": [Want("p/other", "rcc", "a", "t")]}, "the stack p/other wants it"),
    ],
)
def test_what_is_in_use_stays_whatever_its_age(given: dict[str, object], why: str) -> None:
    step = fates(image("a"), **given)["a"]  # type: ignore[arg-type]
    assert (step.to, step.why) == (None, why)


def test_a_parent_goes_only_after_its_children() -> None:
    found = fates(image("a"), image("b", parent="a"))
    assert (found["a"].to, found["a"].why) == (None, "parent of b")
    assert found["b"].to is DELETED


def test_the_newest_proven_image_stays_as_the_way_back() -> None:
    found = fates(
        image("a", proof=Proof.PASSED),
        image("b", proof=Proof.PASSED),
        image("c", proof=Proof.FAILED),
        image("d", ImageState.ACTIVE, Proof.PASSED),
        pointers={"rcc": "d"},
    )
    assert {name: step.to for name, step in found.items()} == {"a": DELETED, "b": None, "c": DELETED}
    assert found["b"].why == "the fallback of family rcc"


def test_the_way_back_of_a_family_may_be_an_image_that_was_baked_for_another() -> None:
    lent = replace(image("a", proof=Proof.PASSED), family="rcc-next")
    found = fates(lent, image("b", proof=Proof.PASSED), image("c", ImageState.ACTIVE), pointers={"rcc-next": "c"})
    assert (found["a"].to, found["a"].why) == (None, "the fallback of family rcc-next")


def unwanted(kitchen: Kitchen, *words: str) -> list[ImageRecord]:
    made = [kitchen.bake("rcc", word) for word in words]
    for found in made:
        assert kitchen.library.deprecate(found.name)
    kitchen.time = "2026-06-01T00:00:00.000Z"
    return made


def test_prune_takes_file_sidecar_and_name_away(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    kept = kitchen.bake("rcc", "two")
    done = prune(kitchen.library, RULES)
    assert ([step.image.name for step in done.moved], done.freed) == ([old.name], 3)
    assert kitchen.library.find(old.name) is None
    assert [found.name for found in kitchen.library.images()] == [kept.name]
    assert not Path(old.location).exists()
    assert not kitchen.library.files.sidecar(old.name).exists()
    assert repair(kitchen.library) == []


def test_a_dry_run_says_the_same_and_does_nothing(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    would = prune(kitchen.library, RULES, dry_run=True)
    assert kitchen.library.find(old.name) is not None
    assert would == prune(kitchen.library, RULES)


def test_prune_walks_through_the_states_of_compute_engine(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    for day, state in (("2026-01-30", DEPRECATED), ("2026-02-01", OBSOLETE), ("2026-02-06", OBSOLETE)):
        kitchen.time = f"{day}T00:00:00.000Z"
        prune(kitchen.library, RULES)
        found = kitchen.library.find(old.name)
        assert found is not None
        assert found.state is state
    kitchen.time = "2026-02-07T00:00:00.000Z"
    prune(kitchen.library, RULES)
    assert kitchen.library.find(old.name) is None


def test_prune_frees_nothing_by_a_step_that_keeps_the_file(kitchen: Kitchen) -> None:
    unwanted(kitchen, "one")
    kitchen.time = "2026-02-01T00:00:00.000Z"
    for dry_run in (True, False):
        done = prune(kitchen.library, RULES, dry_run=dry_run)
        assert ([step.to for step in done.moved], done.freed) == ([OBSOLETE], 0)


def test_what_the_plan_wants_is_kept_and_the_others_go_all_the_same(kitchen: Kitchen) -> None:
    first, wanted, last = unwanted(kitchen, "one", "two", "three")
    done = prune(kitchen.library, RULES, planned={wanted.name: "the plan wants it"})
    assert [step.image.name for step in done.kept] == [wanted.name]
    assert [step.image.name for step in done.moved] == [first.name, last.name]
    assert kitchen.library.image_file(wanted.name).exists()


def test_a_leased_image_is_kept_until_the_lease_ends(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    with kitchen.again().lease(old.name) as file:
        assert [step.why for step in prune(kitchen.library, RULES).kept] == ["something boots from it"]
        assert file.exists()
    assert len(prune(kitchen.library, RULES).moved) == 1


def test_an_image_that_came_into_use_after_the_decision_is_kept(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, other = unwanted(kitchen, "one", "two")

    def promote_meanwhile(*given: object, **more: object) -> tuple[Step, ...]:
        steps = next_steps(*given, **more)  # type: ignore[arg-type]
        kitchen.again().promote(old.name, "rcc")
        return steps

    monkeypatch.setattr("bakery.library.retention.next_steps", promote_meanwhile)
    done = prune(kitchen.library, RULES)
    assert [(step.image.name, step.why) for step in done.kept] == [(old.name, "it came into use meanwhile")]
    assert [step.image.name for step in done.moved] == [other.name]
    assert kitchen.library.image_file(old.name).exists()


def test_a_file_that_another_image_shares_stays(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    other = ImageRecord("other-1", old.digest, "some", "", "other", LONG_AGO)
    kitchen.library.publish(other, kitchen.file("one"))
    prune(kitchen.library, RULES)
    assert kitchen.library.find(old.name) is None
    assert kitchen.library.image_file("other-1").exists()


def test_a_deletion_that_was_cut_off_is_finished_and_never_adopted(
    kitchen: Kitchen, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = unwanted(kitchen, "one")
    with monkeypatch.context() as patched:
        patched.setattr(kitchen.library.files, "remove", lambda *_: 0)  # killed before the files went
        prune(kitchen.library, RULES)
    assert Path(old.location).exists()
    assert kitchen.again().find(old.name) is None
    assert list(kitchen.again().images()) == []
    assert any(old.name in line for line in repair(kitchen.library))
    assert not Path(old.location).exists()


def test_an_image_is_baked_again_after_its_deletion(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    prune(kitchen.library, RULES)
    again = kitchen.bake("rcc", "one")
    assert (again.name, again.state) == (old.name, ImageState.ACTIVE)
    assert kitchen.library.image_file(old.name).exists()


def test_an_obsolete_image_that_is_promoted_is_active_again(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    kitchen.time = "2026-02-01T00:00:00.000Z"
    prune(kitchen.library, RULES)
    kitchen.library.promote(old.name, "rcc")
    found = kitchen.library.find(old.name)
    assert found is not None
    assert found.state is ImageState.ACTIVE


def test_who_works_with_an_image_of_any_library_can_lease_it(kitchen: Kitchen) -> None:
    (old,) = unwanted(kitchen, "one")
    with kitchen.library.lease(old.name):
        assert prune(kitchen.again(), RULES).moved == ()
    assert len(prune(kitchen.again(), RULES).moved) == 1


def test_the_newest_proven_images_stay_as_many_as_the_settings_say() -> None:
    images = [image(name, proof=Proof.PASSED) for name in "abcd"]
    assert [name for name, step in fates(*images, keep=2).items() if step.to is None] == ["c", "d"]
    assert [name for name, step in fates(*images, keep=0).items() if step.to is None] == []
    assert [name for name, step in fates(*images, keep=9).items() if step.to is None] == [*"abcd"]


def test_a_revoked_image_is_nothing_to_roll_back_to() -> None:
    images = [image("app-1", proof=Proof.PASSED), image("app-2", proof=Proof.PASSED)]
    times = {found.name: LONG_AGO for found in images}
    steps = next_steps(images, {}, times, NOW, RULES, revoked={"2"})
    assert [step.to for step in steps] == [None, DELETED]


def test_images_with_all_labels_of_the_settings_stay() -> None:
    labels = {"release": "2030", "site": "x"}
    found = fates(
        replace(image("a"), labels=labels),
        replace(image("b"), labels={"release": "2030"}),
        labels=labels,
    )
    assert (found["a"].to, found["a"].why) == (None, "the settings keep release=2030, site=x")
    assert found["b"].to is DELETED


def test_a_family_has_a_rule_of_its_own() -> None:
    images = [image("a"), replace(image("b"), candidate_for="other")]
    times = {found.name: "2026-05-01T00:00:00Z" for found in images}
    steps = next_steps(images, {}, times, NOW, {EVERY_FAMILY: Retention(30), "other": Retention(90)})
    assert [step.to for step in steps] == [OBSOLETE, None]
