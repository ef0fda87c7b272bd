"""What a promotion registers in the library and what its deletion withdraws, without an engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Uncertain, UnfitImage, UnprovenImage
from bakery.library.base import ImageRecord, Proof, Want
from bakery.library.local.library import LocalLibrary
from bakery.library.versions import to_labels
from bakery.plan.image_labels import FIRST_LABEL
from bakery.resources import promoted_image
from bakery.resources import provider as resource_provider
from bakery.resources.baked_image import BakedImageProvider
from bakery.resources.promoted_image import PromotedImageProvider
from bakery.settings import Settings

TESTS = "b" * 64
Props = dict[str, Any]


def props(stack: str = "dev", image: str = "a-1") -> Props:
    urn = f"urn:pulumi:{stack}::bakery::pulumi-python:dynamic/bakery:PromotedImage::a"
    return {"family": "a", "image": image, "proofs": {image: TESTS[:12]}, "urn": urn}


class Told(list[str]):
    """The statuses and warnings that the engine was sent."""

    def status(self, _urn: str, text: str) -> None:
        self.append(text)

    warn = status


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    said = Told()
    monkeypatch.setattr(promoted_image.progress, "engine", lambda: said)
    return said


@pytest.fixture
def library(
    make_settings: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> Iterator[LocalLibrary]:
    """A library with two proven images of a family; the providers use it."""
    stack, view = make_settings(), resource_provider._Library()
    monkeypatch.setattr(resource_provider, "settings", lambda _urn: stack)
    for module in (resource_provider, promoted_image):
        monkeypatch.setattr(module, "library_view", view)
    library = LocalLibrary(stack)
    for number in (1, 2):
        file = tmp_path / "image"
        file.write_text(str(number), encoding="utf-8")
        name, created = f"a-{number}", f"2029-01-0{number}T00:00:00Z"
        library.publish(ImageRecord(name, str(number) * 64, "a", "", "a", created), file)
        library.record_test(name, Proof.PASSED, TESTS)
    yield library
    library.database.close()


provider = PromotedImageProvider()


def created(of: Props) -> Props:
    outs = provider.create(of).outs
    assert outs is not None
    return outs


def updated(olds: Props, news: Props) -> Props:
    outs = provider.update("a", olds, news).outs
    assert outs is not None
    return outs


def test_an_update_keeps_the_token_that_the_state_has(library: LocalLibrary) -> None:
    """A process that is killed before the engine saves the state must not leave a want that nothing can withdraw."""
    olds = created(props())
    assert updated(olds, props(image="a-2"))["token"] == olds["token"]
    provider.delete("a", olds)  # the update was not saved
    assert list(library.wants()) == []
    assert library.families() == {}


def test_an_update_that_failed_can_be_released(library: LocalLibrary, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Compute Engine it has registered what it wants, and the family still points at the image before."""
    olds = created(props())

    def busy(*_: object) -> str:
        raise Uncertain("the database is locked")

    with monkeypatch.context() as failing, pytest.raises(Uncertain):
        failing.setattr(LocalLibrary, "promote", busy)
        updated(olds, props(image="a-2"))
    assert [want.image for want in library.wants()] == ["a-1"], "here both are one step"
    library.want(Want("bakery/dev", "a", "a-2", olds["token"]))
    assert library.families() == {"a": "a-1"}
    provider.delete("a", olds)
    assert library.families() == {}


def test_a_create_that_is_repeated_registers_once(library: LocalLibrary) -> None:
    created(props())  # killed before the engine saved it
    outs = created(props())
    assert list(library.wants()) == [Want("bakery/dev", "a", "a-1", outs["token"])]
    provider.delete("a", outs)
    assert library.families() == {}


def test_the_deletion_of_a_replaced_promotion_withdraws_nothing(library: LocalLibrary, told: Told) -> None:
    old, new = created(props()), created(props())
    provider.delete("a", old)
    assert library.families() == {"a": "a-1"}
    assert told == ["did not change a: wanted by bakery/dev"]
    provider.delete("a", new)
    assert library.families() == {}
    assert told[-1] == "a now points at no image"


def test_a_deletion_says_which_stacks_still_want_the_family(library: LocalLibrary, told: Told) -> None:
    outs = [created(props(stack)) for stack in ("dev", "test", "live")]
    provider.delete("a", outs[0])
    BakedImageProvider().delete("a-1", props())
    assert told == [f"did not change {what}: wanted by bakery/live, bakery/test" for what in ("a", "a-1")]


def test_all_deletions_of_a_plugin_list_the_wants_once(
    library: LocalLibrary, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs = created(props())
    looks: list[int] = []
    listed = LocalLibrary.wants
    monkeypatch.setattr(LocalLibrary, "wants", lambda self: looks.append(1) or listed(self))
    provider.delete("a", outs)
    for image in ("a-1", "a-2"):
        BakedImageProvider().delete(image, props())
    assert told[1:] == [f"deprecated {image}; its file is kept until retention deletes it" for image in ("a-1", "a-2")]
    assert looks == [1]


def test_an_image_that_other_stacks_gave_back_meanwhile_is_deprecated(library: LocalLibrary, told: Told) -> None:
    mine, others = created(props()), created(props("test"))
    provider.delete("a", mine)
    library.drop_want("bakery/test", "a", others["token"])
    library.unpromote("a-1", "a")
    BakedImageProvider().delete("a-1", props())
    assert told[-1] == "deprecated a-1; its file is kept until retention deletes it"


def test_a_state_of_an_older_version_has_no_token_and_gets_one_with_the_next_image(library: LocalLibrary) -> None:
    library.promote("a-1", "a")
    old = {key: value for key, value in props().items() if key != "proofs"}
    outs = updated(old, props(image="a-2"))
    assert outs["token"]
    provider.delete("a", outs)
    assert library.families() == {}


def test_a_state_of_an_older_version_can_be_deleted(library: LocalLibrary) -> None:
    library.promote("a-1", "a")
    provider.delete("a", props())
    assert library.families() == {}


def test_a_refresh_registers_and_changes_nothing_in_the_state(library: LocalLibrary) -> None:
    library.promote("a-1", "a")
    assert provider.read("a", props()).outs == props()
    assert list(library.wants()) == [Want("bakery/dev", "a", "a-1", "")]
    provider.delete("a", props())
    assert library.families() == {}


def test_a_refresh_registers_only_what_the_library_has_forgotten(
    library: LocalLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    outs = created(props())
    registered: list[Want] = []
    monkeypatch.setattr(LocalLibrary, "want", lambda _self, want: registered.append(want))
    assert provider.read("a", outs).outs == outs
    assert registered == []
    library.drop_want("bakery/dev", "a", outs["token"])
    resource_provider.library_view.forget()
    assert provider.read("a", outs).outs == outs
    assert registered == [Want("bakery/dev", "a", "a-1", outs["token"])]


def test_a_refresh_of_a_family_without_an_image_withdraws(library: LocalLibrary) -> None:
    outs = created(props())
    library.image_file("a-1").unlink()
    assert provider.read("a", outs).id == ""
    assert list(library.wants()) == []


def test_an_image_without_proof_is_neither_promoted_nor_wanted(library: LocalLibrary) -> None:
    olds = created(props())
    library.record_test("a-2", Proof.FAILED, TESTS)
    with pytest.raises(UnprovenImage, match=r"a is not promoted: a-2 failed its tests\nhint: run `pulumi up` without"):
        updated(olds, props(image="a-2"))
    assert library.families() == {"a": "a-1"}
    assert [want.image for want in library.wants()] == ["a-1"]


def test_other_proofs_alone_are_no_change(library: LocalLibrary) -> None:
    """A state of version 0.1.0 has none, and other tests of the same image have their own resource."""
    library.promote("a-1", "a")
    assert not provider.diff("a", props(), {**props(), "proofs": {"a-1": "c" * 12}}).changes
    assert not provider.diff("a", {**props(), "token": "t"}, props()).changes


def test_a_refresh_without_the_right_to_register_sees_what_it_may_read(
    library: LocalLibrary, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """As in the preview of a pull request, by an account that can only read."""

    def refused(*_: object) -> None:
        raise Uncertain("403 Forbidden")

    library.promote("a-2", "a")
    monkeypatch.setattr(LocalLibrary, "want", refused)
    assert provider.read("a", props()).outs == props() | {"image": "a-2"}
    assert told == ["cannot register which image a shall point at: 403 Forbidden"]


def test_the_first_family_of_a_roll_out_says_when_it_began(library: LocalLibrary) -> None:
    def began() -> str:
        image = library.find("a-1")
        assert image is not None
        return image.labels.get(FIRST_LABEL, "")

    made = created(props())
    assert began() == ""
    first = {**props(), "first": True}
    provider.update("a", made, first)
    assert began() == "", "it was there before"
    provider.update("a", made, props(image="a-2"))
    provider.update("a", made, first)
    assert began().isdigit()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "the image of its recipe"),
        ({"pins": {"a": "a-1"}}, "pinned in Pulumi.test.yaml"),
        ({"approval": ["a"], "approved": {"a": "a-1"}}, "approved in Pulumi.test.yaml"),
        ({"pins": {"b": "a-1"}, "approved": {"a": "a-1"}}, "the image of its recipe"),
    ],
)
def test_the_history_says_why_the_family_got_the_image(
    library: LocalLibrary,
    make_settings: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    values: Props,
    why: str,
) -> None:
    monkeypatch.setattr(resource_provider, "settings", lambda _urn: make_settings(**values))
    for _ in range(2):
        PromotedImageProvider().create(props())
    (entry,) = library.history.entries("a")
    assert (entry.event, entry.image, entry.why) == ("promoted", "a-1", why)


def with_cluster(slurm: str, controller: bool = False, image: str = "a-2") -> Props:
    return {**props(image=image), "cluster": {"slurm": slurm, "controller": controller}}


def test_an_image_that_does_not_fit_the_running_cluster_is_not_promoted(library: LocalLibrary, told: Told) -> None:
    olds = created(props())
    library.record_test("a-2", Proof.PASSED, TESTS, to_labels({"slurm": "24.05.1"}))
    with pytest.raises(UnfitImage, match="a is not promoted: a-2 does not fit the cluster of "):
        updated(olds, with_cluster("22.05.8"))
    assert library.families() == {"a": "a-1"}
    assert [want.image for want in library.wants()] == ["a-1"]
    updated(olds, with_cluster("23.11", controller=True))
    assert library.families() == {"a": "a-2"}
    updated(olds, {**with_cluster("22.05.8"), "consumers": ["user:a@example.com"]})  # it points there already
    assert library.families() == {"a": "a-2"}
    assert not any("not compared" in text for text in told)


def test_an_image_whose_slurm_is_not_known_is_promoted_and_noted(library: LocalLibrary, told: Told) -> None:
    created(with_cluster("22.05.8"))
    assert library.families() == {"a": "a-2"}
    assert "a-2 is not compared with cluster.slurm: its Slurm is not recorded" in told
