"""Every kind of drift, and what mends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakery.library.base import ImageRecord, ImageState, Proof, Want
from bakery.plan.image_labels import REVISION_LABEL
from bakery.plan.plan import make
from bakery.preview.drift import DriftKind, Observed, compare
from tests.support.plan_builders import LOCK, recipe, recipes, settings

(IMAGE,) = make(settings(), recipes(recipe("app")), LOCK, "4f" * 20).images
RECORD = ImageRecord(
    IMAGE.name, IMAGE.digest, "app", "", "app", "", family="app", proof=Proof.PASSED, labels=IMAGE.labels
)
OTHER = replace(RECORD, name="app-other")
DEPRECATED = ImageState.DEPRECATED


def seen(*records: ImageRecord, **changes: Any) -> Observed:
    right = Observed(
        "dev",
        records={record.name: record for record in records or (RECORD,)},
        families={"app": IMAGE.name},
        wants=[Want("p/dev", "app", IMAGE.name, "t")],
        expected={IMAGE.name: "p/dev"},
        planned={IMAGE.name: IMAGE},
    )
    return replace(right, **changes)


def test_a_family_that_no_resource_of_its_stack_stands_for_is_untracked() -> None:
    (found,) = compare(seen(promoted=("p/dev", frozenset({"other"}))))
    assert (found.kind, found.subject) == (DriftKind.UNTRACKED, "app")
    assert found.remedy == "pulumi up --stack dev if the plan makes it; else bakery recover --withdraw app"
    assert compare(seen(promoted=("p/dev", frozenset({"app"})))) == ()
    assert compare(seen(promoted=("p/other", frozenset()))) == (), "the state of another stack is not known"


def test_what_is_as_it_should_be_is_no_drift() -> None:
    assert compare(seen()) == ()
    assert compare(Observed("dev")) == ()
    assert REVISION_LABEL in IMAGE.labels, "another revision of the same digest is no drift:"
    assert compare(seen(replace(RECORD, labels=IMAGE.labels | {REVISION_LABEL: "0"}))) == ()


UP, REFRESH = "pulumi up --stack dev", "pulumi refresh --stack dev, then pulumi up --stack dev"
NEWER = [Want("p/dev", "app", IMAGE.name, "t"), Want("p/test", "app", "app-other", "t")]


@pytest.mark.parametrize(
    ("given", "drift"),
    [
        (
            seen(records={}, families={}),
            (
                *("gone", IMAGE.name, "is not in the library, and the stack p/dev needs it"),
                f"{UP} bakes and tests it again",
            ),
        ),
        (
            seen(RECORD, OTHER, families={"app": "app-other"}),
            ("moved", "app", f"points at app-other instead of {IMAGE.name} (ACTIVE, wanted by p/dev)", UP),
        ),
        (
            seen(replace(RECORD, state=DEPRECATED), families={}),
            ("moved", "app", f"points at no image instead of {IMAGE.name} (DEPRECATED, wanted by p/dev)", UP),
        ),
        (
            seen(replace(RECORD, proof=Proof.FAILED)),
            ("unproven", "app", f"points at {IMAGE.name}, which failed its tests", f"{UP} tests it again"),
        ),
        (
            seen(wants=[]),
            (
                *("untracked", "app", f"points at {IMAGE.name}, which no stack has registered"),
                "pulumi refresh --stack dev, which registers it",
            ),
        ),
        (
            seen(strangers={"mine": "app"}),
            (
                *("untracked", "mine", "is in the family app, and was not made by the bakery"),
                "gcloud compute images deprecate mine --state=DEPRECATED",
            ),
        ),
        (
            seen(RECORD, replace(OTHER, family="app")),
            ("state", "app-other", f"is ACTIVE, though the family app points at {IMAGE.name}", REFRESH),
        ),
        (
            seen(replace(RECORD, labels=IMAGE.labels | {"bakery-recipe": "x"})),
            ("labels", IMAGE.name, "has other labels than it was baked with: bakery-recipe is x", REFRESH),
        ),
        (
            seen(unshared={IMAGE.name: ["group:a@example.com"]}),
            ("sharing", IMAGE.name, "is not shared with group:a@example.com", REFRESH),
        ),
    ],
)
def test_each_kind_is_told_once_with_what_mends_it(given: Observed, drift: tuple[str, ...]) -> None:
    assert [(one.kind, one.subject, one.message, one.remedy) for one in compare(given)] == [drift]


def test_an_untested_image_is_drift_only_if_it_has_tests() -> None:
    untested = seen(replace(RECORD, proof=Proof.UNTESTED))
    assert compare(replace(untested, planned={IMAGE.name: replace(IMAGE, tests_digest="")})) == ()
    (drift,) = compare(untested)
    assert (drift.kind, drift.message) == ("unproven", f"points at {IMAGE.name}, which is untested")


def test_two_stacks_that_want_different_images_are_no_drift() -> None:
    other = replace(OTHER, family="", state=DEPRECATED)
    assert compare(seen(RECORD, other, wants=NEWER)) == ()


def test_an_image_that_lost_all_labels_is_not_gone() -> None:
    (drift,) = compare(seen(replace(RECORD, digest="", labels={}), planned={}))
    assert (drift.kind, drift.message) == (
        "labels",
        "has other labels than it was baked with: bakery-digest is missing",
    )
