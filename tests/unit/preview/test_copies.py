"""What a plan says of the families of other projects, and what counts as their drift."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bakery.errors import Uncertain
from bakery.library.base import CopiesIn, ImageRecord, ImageState, Revocation, Want
from bakery.plan.image_labels import COPY_LABEL
from bakery.preview.check import check
from bakery.preview.copies import copies, everywhere
from bakery.preview.drift import DriftKind, Observed, compare
from bakery.preview.model import Action, Copy
from bakery.preview.snapshot import LibrarySnapshot
from bakery.preview.targets import targets
from bakery.settings import Settings, parse
from tests.support.root import ROOT
from tests.unit.preview.test_targets import APP, BASE, OLD, PLAN, held, record

THERE = {"there": {"families": ["ap*"]}}


def settings(rules: object = None, **values: Any) -> Settings:
    google = {"project": "p", "region": "r1", "copies": THERE if rules is None else rules}
    return parse({"oven": "cloud-build", "google": google, **values}, "gcp", ROOT)


def planned(snapshot: LibrarySnapshot, given: Settings) -> list[Copy]:
    return [*copies(given, PLAN.images, snapshot, targets(given, PLAN.images, snapshot))]


def copied(*images: ImageRecord, now: str = "") -> CopiesIn:
    made = tuple(replace(image, family="app", labels={**image.labels, COPY_LABEL: "p"}) for image in images)
    return CopiesIn("there", made, {"app": now} if now else {})


def test_a_copy_follows_the_family_and_its_pin() -> None:
    (new,) = planned(held(), settings())
    assert new == Copy("app@there", "app", "there", APP.name, Action.ADOPT)
    assert str(new) == f"app@there will point at a copy of {APP.name}"
    there = replace(held(OLD), copies=(copied(record(APP), now=APP.name),))
    (kept,) = planned(there, settings())
    assert (kept.action, str(kept)) == (Action.KEEP, f"app@there points at {APP.name}")
    (back,) = planned(there, settings(pins={"app": OLD.name}))
    assert str(back) == (
        f"app@there will point at a copy of {OLD.name}; a roll-back: {OLD.name} is older than {APP.name}"
    )


def test_channels_have_copies_and_families_that_wait_keep_theirs() -> None:
    rules = {"there": {"families": ["*-stable"]}, "more": {}}
    given = settings(rules, channels={"stable": ["app"]}, approval=["app"])
    assert everywhere(given, PLAN.images) == [
        *("base", "app", "app-stable"),
        *("base@more", "app@more", "app-stable@there", "app-stable@more"),
    ]
    found = {one.name: (one.image, one.action) for one in planned(LibrarySnapshot(), given)}
    stable = f"app-stable-{APP.digest[:12]}"
    assert found["app-stable@there"] == (stable, Action.ADOPT)
    assert found["app@more"] == ("", Action.KEEP), "it waits for an approval, and points at nothing"


def test_a_project_that_cannot_be_looked_at_is_kept_as_it_is_with_a_warning() -> None:
    unread = replace(held(), unread={"there": Uncertain("no answer", hint="wait")})
    (kept,) = planned(unread, settings())
    assert kept.action is Action.KEEP
    assert [str(one) for one in unread.warnings] == [
        "library:1: warning: the copies in there are not known: no answer; wait"
    ]


def test_families_of_a_project_that_leaves_the_settings_are_given_up() -> None:
    wants = (Want("p/gcp", "app@there", APP.name, "t"), Want("p/gcp", "base", BASE.name, "t"))
    snapshot = replace(held(), copies=(copied(record(APP), now=APP.name),), wants=wants)
    assert snapshot.given_up("p/gcp", everywhere(settings({}), PLAN.images)) == {"app@there": APP.name}
    assert snapshot.given_up("p/gcp", everywhere(settings(), PLAN.images)) == {}


def test_a_pattern_that_fits_nothing_is_a_problem() -> None:
    (problem,) = check(settings({"there": {"families": ["app", "apq*"]}}), PLAN.images, None)
    assert "google.copies.there: no family of the plan matches 'apq*'; use * or one of: app, base" in str(problem)


NEW = record(APP)
RETIRED = replace(OLD, state=ImageState.DEPRECATED)
WANT = Want("p/gcp", "app@there", APP.name, "t")


def drift(
    of_copies: CopiesIn, *wants: Want, original: ImageRecord = NEW, **changes: Any
) -> list[tuple[DriftKind, str]]:
    own = Want("p/gcp", "app", APP.name, "t")
    seen = Observed(
        "gcp",
        records={image.name: image for image in (RETIRED, original)},
        families={"app": APP.name},
        wants=[own, *(wants or (WANT,))],
        copies=[of_copies],
    )
    return [(one.kind, f"{one.subject} {one.message}") for one in compare(replace(seen, **changes))]


def test_copies_as_they_should_be_are_no_drift() -> None:
    assert drift(copied(NEW, now=APP.name)) == []
    assert drift(copied(replace(OLD, state=ImageState.DEPRECATED), NEW, now=APP.name)) == []


@pytest.mark.parametrize(
    ("there", "kind", "text"),
    [
        (copied(), DriftKind.GONE, f"points at no image instead of a copy of {APP.name} (gone, wanted by p/gcp)"),
        (
            copied(replace(NEW, state=ImageState.DEPRECATED)),
            DriftKind.MOVED,
            f"points at no image instead of a copy of {APP.name} (DEPRECATED, wanted by p/gcp)",
        ),
        (copied(NEW, OLD, now=OLD.name), DriftKind.MOVED, f"points at {OLD.name} instead of a copy of {APP.name}"),
        (
            copied(OLD, NEW, now=APP.name),
            DriftKind.STATE,
            f"the copy of {OLD.name} is ACTIVE, though the family points",
        ),
    ],
)
def test_what_was_changed_in_the_other_project_is_drift(there: CopiesIn, kind: DriftKind, text: str) -> None:
    (found,) = drift(there)
    assert found[0] is kind
    assert found[1].startswith(f"app@there {text}")


def test_other_labels_unregistered_families_and_revoked_images_are_drift() -> None:
    labelled = replace(NEW, labels={"bakery-digest": "d", "bakery-proof": "passed"})
    plain = replace(copied(labelled, now=APP.name), images=(replace(NEW, family="app", labels={COPY_LABEL: "p"}),))
    assert (
        DriftKind.LABELS,
        f"app@there the copy of {APP.name} has other labels than the image: bakery-digest",
    ) in drift(plain, original=labelled)
    other = Want("p/gcp", "base@there", BASE.name, "t")
    (found,) = drift(copied(NEW, now=APP.name), other)
    assert found == (DriftKind.UNTRACKED, f"app@there points at a copy of {APP.name}, which no stack has registered")
    revoked = {APP.name[-12:]: Revocation(APP.name, APP.name, "bad", "", "")}
    kinds = [kind for kind, text in drift(copied(NEW, now=APP.name), revoked=revoked) if text.startswith("app@there")]
    assert kinds == [DriftKind.REVOKED]
