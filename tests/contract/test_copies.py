"""Copies in other projects follow the library of Compute Engine. These projects grant the role of the page, no more."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
import pytest

from bakery.backends import backend
from bakery.backends.base import Backend
from bakery.errors import AccessRefused, BakeryError, Uncertain
from bakery.infrastructure.grants import COPIER, COPIER_ROLE
from bakery.library.base import ImageState, Library, Proof, Want
from bakery.library.compute_engine import images
from bakery.library.copies import follow
from bakery.library.retention import prune
from bakery.library.revocation import enforce, revoke
from bakery.operations.image import image as look_up
from bakery.settings import Settings
from bakery.settings.retention import EVERY_FAMILY, Retention
from tests.fake_google import compute, permissions
from tests.fake_google.cloud import Cloud, Fault
from tests.fake_google.server import serve
from tests.support.schemas import published

IMAGES = "compute/compute/v1/projects/{}/global/images"
THERE = "rcc@there"
COPIES = {"there": {"storageLocation": "eu"}}
AT_ONCE = {EVERY_FAMILY: Retention(0, keep=0)}


@dataclass
class Scene:
    """A library with copies in the project ``there``."""

    cloud: Cloud
    backend: Backend

    @property
    def library(self) -> Library:
        return self.backend.library()

    def bake(self, family: str, content: str) -> str:
        """A proven candidate."""
        digest = hashlib.sha256(f"{family} {content}".encode()).hexdigest()
        labels = {"bakery-digest": digest[:32], "bakery-family": family, "bakery-recipe": "some"}
        name = f"{family}-{digest[:12]}"
        compute.add_image(self.cloud, IMAGES.format("p"), {"name": name, "labels": labels})
        self.library.record_test(name, Proof.PASSED, "tests")
        return name

    def promoted(self, content: str, family: str = "rcc") -> str:
        """An image that the family points at, here and there."""
        name = self.bake(family, content)
        self.library.promote(name, family, Want("p/dev", family, name, "t"))
        self.library.promote(name, f"{family}@there", Want("p/dev", f"{family}@there", name, "t"))
        return name

    def there(self, name: str) -> dict[str, Any]:
        """The copy of an image as the other project has it."""
        found: dict[str, Any] = self.cloud.items[f"{IMAGES.format('there')}/{name}"]
        return found

    def state(self, name: str) -> str:
        return str(self.there(name).get("deprecated", {}).get("state", "ACTIVE"))

    def family(self, family: str = "rcc") -> str:
        """What the family of the other project resolves to; "" for nothing."""
        found = [
            image["name"]
            for key, image in self.cloud.items.items()
            if key.startswith(IMAGES.format("there")) and image.get("family") == family and "deprecated" not in image
        ]
        return found[-1] if found else ""


@pytest.fixture
def scene(make_settings: Callable[..., Settings]) -> Iterator[Scene]:
    with serve() as server:
        server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        server.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
        google = {"project": "p", "region": "us-central1", "endpoint": server.url, "copies": COPIES}
        yield Scene(server.cloud, backend(make_settings(oven="cloud-build", google=google)))
        assert server.cloud.violations == []


def test_a_promotion_copies_the_image_once_with_name_family_labels_and_place(scene: Scene) -> None:
    name = scene.promoted("one")
    copy, original = scene.there(name), scene.cloud.items[f"{IMAGES.format('p')}/{name}"]
    assert copy["sourceImage"].endswith(f"projects/p/global/images/{name}")
    assert (copy["family"], copy["storageLocations"]) == ("rcc", ["eu"])
    kept = {key: value for key, value in original["labels"].items() if key not in ("bakery-proof", "bakery-tests")}
    assert copy["labels"] == {**kept, "bakery-copied-from": "p"}
    scene.library.promote(name, THERE)
    made = [path for _, method, path in scene.cloud.calls if method == "compute.images.insert"]
    assert len(made) == 1
    assert (scene.family(), dict(scene.library.families())) == (name, {"rcc": name})


def test_a_roll_back_takes_the_copy_that_is_there(scene: Scene) -> None:
    first, second = scene.promoted("one"), scene.promoted("two")
    assert (scene.family(), scene.state(first)) == (second, "DEPRECATED")
    assert scene.there(first)["deprecated"]["replacement"].endswith(f"projects/there/global/images/{second}")
    scene.library.promote(first, "rcc")
    assert scene.library.promote(first, THERE) == second
    assert (scene.family(), scene.state(second)) == (first, "DEPRECATED")


def test_only_what_the_family_points_at_is_copied(scene: Scene) -> None:
    scene.promoted("one")
    other = scene.bake("rcc", "two")
    with pytest.raises(BakeryError, match=f"{other} is not copied: the family rcc does not point at it"):
        scene.library.promote(other, THERE)


def test_a_channel_has_copies_too(scene: Scene) -> None:
    stable = scene.library.derive(scene.promoted("one"), "rcc-stable")
    scene.library.promote(stable, "rcc-stable")
    scene.library.promote(stable, "rcc-stable@there")
    assert scene.family("rcc-stable") == stable


def test_a_family_that_no_stack_wants_there_points_at_nothing_there(scene: Scene) -> None:
    name = scene.promoted("one")
    scene.library.want(Want("p/test", THERE, name, "u"))
    assert not scene.library.drop_want("p/dev", THERE, "t")
    assert not scene.library.unpromote(name, THERE), "another stack wants it"
    assert scene.library.drop_want("p/test", THERE, "u")
    assert scene.library.unpromote(name, THERE)
    assert (scene.family(), scene.state(name)) == ("", "DEPRECATED")
    assert dict(scene.library.families()) == {"rcc": name}, "that of the own project stays"
    scene.library.promote(name, THERE)
    assert scene.family() == name


def test_a_revocation_moves_the_families_there_and_makes_the_copies_obsolete(scene: Scene) -> None:
    first, second = scene.promoted("one"), scene.promoted("two")
    revoke(scene.library, second, "bad", scene.library.now())
    enforce(scene.library)
    done = follow(scene.library)
    assert [str(step) for step in done.steps] == [
        f"family {THERE}: {second} -> {first}",
        f"copy {second} in there: OBSOLETE: its original is OBSOLETE",
    ]
    assert (scene.family(), scene.state(second), done.problems) == (first, "OBSOLETE", ())
    assert follow(scene.library).steps == (), "it is idempotent"
    revoke(scene.library, first, "bad", scene.library.now())
    enforce(scene.library)
    assert str(follow(scene.library).steps[0]) == f"family {THERE}: {first} -> no image"
    assert (scene.family(), scene.state(first)) == ("", "OBSOLETE")


def test_a_copy_is_made_for_the_family_that_goes_back_to_an_image_that_was_never_copied(scene: Scene) -> None:
    never = scene.bake("rcc", "zero")
    name = scene.promoted("one")
    revoke(scene.library, name, "bad", scene.library.now())
    enforce(scene.library)
    follow(scene.library)
    assert (scene.family(), dict(scene.library.families())) == (never, {"rcc": never})


def test_copies_are_retired_and_deleted_with_their_originals_unless_they_are_in_use(scene: Scene) -> None:
    names = [scene.promoted(word) for word in ("one", "two", "three")]
    used = {
        "properties": {"disks": [{"initializeParams": {"sourceImage": f"projects/there/global/images/{names[0]}"}}]}
    }
    scene.cloud.items["compute/compute/v1/projects/there/global/instanceTemplates/t"] = {"name": "t", **used}
    for _ in range(2):
        for want in scene.library.wants():
            scene.library.want(Want(want.stack, want.family, names[2], want.token))
        done = prune(scene.library, AT_ONCE)
        followed = follow(scene.library)
    assert {step.image.name for step in done.moved} <= set(names[:2])
    assert f"{IMAGES.format('p')}/{names[0]}" not in scene.cloud.items
    assert f"{IMAGES.format('there')}/{names[1]}" not in scene.cloud.items
    kept = f"copy {names[0]} in there: kept: the instance template t boots from it"
    assert kept in [str(step) for step in followed.steps]
    assert scene.family() == names[2]


def test_a_copy_that_a_family_points_at_is_not_deleted_when_its_original_is_gone(scene: Scene) -> None:
    name = scene.promoted("one")
    del scene.cloud.items[f"{IMAGES.format('p')}/{name}"]
    assert follow(scene.library).steps == ()
    assert scene.family() == name


def test_what_others_have_in_the_project_is_never_changed(scene: Scene) -> None:
    name = scene.bake("rcc", "one")
    scene.library.promote(name, "rcc")
    theirs = compute.add_image(scene.cloud, IMAGES.format("there"), {"name": "golden", "family": "rcc"})
    before = dict(theirs)
    with pytest.raises(BakeryError, match=r"the family rcc has other images \(golden\) in the project there"):
        scene.library.promote(name, THERE)
    del scene.cloud.items[f"{IMAGES.format('there')}/golden"]
    same = compute.add_image(scene.cloud, IMAGES.format("there"), {"name": name})
    with pytest.raises(BakeryError, match=f"there is another image {name} in the project there"):
        scene.library.promote(name, THERE)
    assert not scene.library.unpromote(name, THERE, force=True)
    assert follow(scene.library).steps == ()
    assert (theirs, same["name"], scene.state(name)) == (before, name, "ACTIVE")


def test_a_library_in_the_other_project_does_not_take_copies_for_its_own(
    scene: Scene, make_settings: Callable[..., Settings]
) -> None:
    scene.promoted("one")
    scene.cloud.conditions.elsewhere["there"].add("bakeryLibrarian")
    google = {"project": "there", "region": "us-central1", "endpoint": scene.backend.settings.google.endpoint}
    theirs = backend(make_settings(oven="cloud-build", google=google)).library()
    assert list(theirs.images()) == []
    assert dict(theirs.families()) == {}


@pytest.mark.parametrize("lost", [one for one in COPIER if one != "compute.images.get"])
def test_no_permission_of_the_role_is_granted_for_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    left = tuple(one for one in COPIER if one != lost)
    monkeypatch.setattr(permissions, "ROLES", {**permissions.ROLES, COPIER_ROLE: left})
    try:
        first, second = scene.promoted("one"), scene.promoted("two")
        scene.library.relabel(first, {"bakery-variant": "x"})
        scene.library.promote(first, "rcc")
        scene.library.promote(first, THERE)
        del scene.cloud.items[f"{IMAGES.format('p')}/{second}"]
        problems = follow(scene.library).problems
    except Uncertain as error:
        problems = (error,)
    assert [lost in problem.message for problem in problems] == [True]


def test_without_the_role_the_own_project_is_promoted_and_the_next_promotion_copies(scene: Scene) -> None:
    scene.cloud.conditions.elsewhere["there"] = set()
    name = scene.bake("rcc", "one")
    scene.library.promote(name, "rcc")
    with pytest.raises(Uncertain) as refused:
        scene.library.promote(name, THERE)
    assert "permission for 'projects/there'" in refused.value.message
    assert COPIER_ROLE in refused.value.hint
    assert not isinstance(refused.value, AccessRefused), "an up would wait for its own young grants"
    assert dict(scene.library.families()) == {"rcc": name}
    scene.cloud.conditions.elsewhere["there"] = {COPIER_ROLE}
    scene.library.promote(name, THERE)
    assert scene.family() == name


def test_an_original_that_may_not_be_read_is_not_copied(scene: Scene) -> None:
    """Google asks for useReadOnly on the source, in the project that has it."""
    name = scene.bake("rcc", "one")
    scene.library.promote(name, "rcc")
    scene.cloud.conditions.closed.add("p")
    with pytest.raises(BakeryError, match=r"Required 'compute\.images\.(get|useReadOnly)' permission"):
        scene.library.promote(name, THERE)


def test_a_copy_that_is_still_made_is_waited_for_and_a_failed_one_is_made_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = scene.promoted("one")
    scene.there(name)["status"] = "PENDING"
    monkeypatch.setattr(images, "POLL_SECONDS", 0.01)
    scene.cloud.at(time.time() + 0.2, lambda: scene.there(name).update(status="READY"))
    scene.library.promote(name, THERE)
    assert scene.there(name)["status"] == "READY"
    number = scene.there(name)["id"]
    scene.there(name)["status"] = "FAILED"
    scene.library.promote(name, THERE)
    assert scene.there(name)["id"] != number and scene.family() == name


def test_a_lost_answer_of_the_copy_is_not_an_error(scene: Scene) -> None:
    name = scene.bake("rcc", "one")
    scene.library.promote(name, "rcc")
    scene.cloud.faults.append(Fault(r"images\.insert", 503, times=1))
    scene.library.promote(name, THERE)
    assert scene.family() == name


def test_copies_are_looked_at_in_each_project_that_the_settings_or_a_stack_name(scene: Scene) -> None:
    scene.cloud.conditions.elsewhere["more"] = {COPIER_ROLE}
    scene.library.want(Want("p/test", "rcc@more", "rcc-1", "t"))
    assert [one.project for one in scene.library.copies(scene.library.wants())] == ["more", "there"]


def test_the_image_of_a_project_is_told_for_scripts(scene: Scene) -> None:
    name = scene.promoted("one")
    told = look_up(scene.backend, "rcc", "there")
    jsonschema.validate(told, published("image"))
    assert told["self_link"] == f"https://www.googleapis.com/compute/v1/projects/there/global/images/{name}"
    assert (told["project"], told["link"]) == ("there", f"projects/there/global/images/{name}")
    scene.there(name)["deprecated"] = {"state": "DEPRECATED"}
    with pytest.raises(BakeryError, match="the family rcc of the project there points at no copy"):
        look_up(scene.backend, "rcc", "there")
    with pytest.raises(BakeryError, match="there are no copies in the project nowhere"):
        look_up(scene.backend, "rcc", "nowhere")


def test_a_project_that_cannot_be_looked_at_stops_no_other(scene: Scene) -> None:
    first = scene.promoted("one")
    scene.promoted("two")
    scene.library.want(Want("p/test", "rcc@elsewhere", "rcc-1", "t"))
    revoke(scene.library, first, "bad", scene.library.now())
    enforce(scene.library)
    done = follow(scene.library)
    assert scene.state(first) == ImageState.OBSOLETE
    assert [isinstance(problem, Uncertain) for problem in done.problems] == [True]
