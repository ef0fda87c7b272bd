"""Images that were proven under old rules of digests are kept until their recipes change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from bakery.library.base import ImageRecord, Library, Listing, Proof, Revocation
from bakery.plan import digest
from bakery.plan.model import Plan
from bakery.plan.plan import make
from bakery.preview.decide import decide
from bakery.preview.model import Action
from bakery.preview.proven import proven_digests
from bakery.recipe.model import Recipe
from tests.support.next_rules import BOTH
from tests.support.plan_builders import LOCK, recipe, recipes, settings
from tests.unit.preview.test_decide import CHILD, PARENT, actions, edited, library, plan_of

KEPT = "kept: proven under rules 2; would be baked under rules 3 when its recipe changes"
SCRIPT = "packages/{}/install.sh"


@dataclass(frozen=True)
class Shelved:
    """As much of a library as is read."""

    images: Iterable[ImageRecord]
    families: dict[str, str]
    revoked: tuple[Revocation, ...] = ()

    def listing(self) -> Listing:
        return Listing(tuple(self.images), self.families)

    def revocations(self) -> tuple[Revocation, ...]:
        return self.revoked

    def now(self) -> str:
        return "2030-01-02T00:00:00Z"


def proven(images: Iterable[ImageRecord], families: dict[str, str], *revoked: Revocation) -> frozenset[str]:
    return proven_digests(lambda: cast(Library, Shelved(images, families, revoked)))


@pytest.fixture
def old() -> Plan:
    """A parent and its child as the version before planned them."""
    return plan_of(PARENT, CHILD)


@pytest.fixture
def upgraded(old: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that has new rules. The plan before it was made without them."""
    monkeypatch.setattr(digest, "GENERATIONS", BOTH)


def planned(held: frozenset[str], *given: Recipe, **values: Any) -> Plan:
    return make(settings(**values), recipes(*given), LOCK, proven=held)


def rules(plan: Plan) -> list[int]:
    return [image.rules for image in plan.images]


@pytest.mark.usefixtures("upgraded")
def test_proven_images_are_kept_and_the_plan_says_by_which_rules(old: Plan) -> None:
    held = library(old)
    plan = planned(proven(*held), PARENT, CHILD)
    assert [image.name for image in plan.images] == [image.name for image in old.images]
    assert [str(decision) for decision in decide(plan.images, *held)] == [KEPT, KEPT]


@pytest.mark.usefixtures("upgraded")
def test_a_changed_recipe_and_its_children_have_the_new_rules(old: Plan) -> None:
    held = library(old)
    plan = planned(proven(*held), edited(PARENT, SCRIPT.format("base"), sha256="0" * 64), CHILD)
    assert rules(plan) == [3, 3]
    parent, child = decide(plan.images, *held)
    assert str(parent) == "baked: packages/base/install.sh changed"
    assert str(child) == "baked: parent base is baked"


@pytest.mark.usefixtures("upgraded")
def test_a_changed_child_has_the_new_rules_on_a_parent_of_the_old_ones(old: Plan) -> None:
    held = library(old)
    plan = planned(proven(*held), PARENT, edited(CHILD, SCRIPT.format("app"), sha256="0" * 64))
    assert rules(plan) == [2, 3]
    assert plan.images[1].base.digest == old.images[0].digest
    parent, child = decide(plan.images, *held)
    assert str(parent) == KEPT
    assert str(child) == "baked: packages/app/install.sh changed"


@pytest.mark.usefixtures("upgraded")
def test_a_recipe_that_is_as_it_was_has_its_old_image_again(old: Plan) -> None:
    before = library(old)
    changed = edited(CHILD, SCRIPT.format("app"), sha256="0" * 64)
    after = library(planned(proven(*before), PARENT, changed))
    images, families = [*before[0], after[0][1]], {**before[1], **after[1]}
    plan = planned(proven(images, families), PARENT, CHILD)
    assert rules(plan) == [2, 2]
    assert actions(decide(plan.images, images, families)) == [Action.KEEP, Action.ADOPT]
    assert rules(planned(proven(images, families), PARENT, changed)) == [2, 3]


@pytest.mark.usefixtures("upgraded")
def test_without_proof_the_new_rules_count(old: Plan) -> None:
    images, _ = library(old)
    assert rules(planned(proven([], {}), PARENT, CHILD)) == [3, 3]
    for proof in (Proof.UNTESTED, Proof.FAILED):
        candidates = [images[0], replace(images[1], proof=proof)]
        assert rules(planned(proven(candidates, {}), PARENT, CHILD)) == [2, 3]
    # One that is in use is kept: it may have no tests, and otherwise it is tested again, as without new rules.
    used = [images[0], replace(images[1], proof=Proof.FAILED)]
    families = {"app": images[1].name}
    assert rules(planned(proven(used, families), PARENT, CHILD)) == [2, 2]


@pytest.mark.usefixtures("upgraded")
def test_a_revoked_image_is_baked_under_the_new_rules(old: Plan) -> None:
    images, families = library(old)
    name = images[0].name
    revocation = Revocation(name, name, "a hole", "2030-01-01T00:00:00Z", "2030-01-01T00:00:00Z")
    assert rules(planned(proven(images, families, revocation), PARENT, CHILD)) == [3, 3]


@pytest.mark.usefixtures("upgraded")
def test_the_beginning_of_a_digest_is_enough(old: Plan) -> None:
    images, families = library(old)
    begun = [replace(image, digest=image.digest[:32]) for image in images]  # as Compute Engine's labels have it
    assert rules(planned(proven(begun, families), PARENT, CHILD)) == [2, 2]


@pytest.mark.usefixtures("upgraded")
def test_a_new_nonce_and_a_new_base_are_changes(old: Plan) -> None:
    held = proven(*library(old))
    assert rules(planned(held, PARENT, CHILD, nonce={"app": "again"})) == [2, 3]
    elsewhere = recipe("base", "debian-13")
    base = LOCK.bases[settings().bases]["debian-cloud/debian-12"]
    lock = LOCK.put(settings().bases, "debian-cloud", "debian-13", base._replace(identity="inrelease:" + "6" * 64))
    assert rules(make(settings(), recipes(elsewhere, CHILD), lock, proven=held)) == [3, 3]


def test_with_one_generation_the_library_is_not_asked() -> None:
    def refuse() -> Library:
        raise AssertionError

    assert proven_digests(refuse) == frozenset()
    assert {image.rules for image in plan_of(PARENT, CHILD).images} == {digest.GENERATIONS[-1].generation}


@pytest.mark.usefixtures("upgraded")
def test_without_a_library_no_image_is_proven() -> None:
    assert proven_digests(lambda: None) == frozenset()
