"""Differences, passing runs and orders: what the resources decide without an engine."""

from __future__ import annotations

import base64
import errno
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pulumi.dynamic.dynamic import serialize_provider

from bakery.errors import InfrastructureFailed, Interrupted
from bakery.library.base import ImageRecord, Proof
from bakery.library.local.library import LocalLibrary
from bakery.orders import files as order_files
from bakery.orders.model import RunOrder
from bakery.paths import StatePaths
from bakery.preview.snapshot import LibrarySnapshot
from bakery.recipe.model import Suite
from bakery.resources import provider
from bakery.resources.baked_image import BakedImageProvider
from bakery.resources.fluid_run_test import FluidRunTestProvider, adopt_run, passing_run
from bakery.resources.images import PREFIX
from bakery.resources.promoted_image import PromotedImageProvider
from bakery.results.model import RunResult, Verdict
from bakery.settings import Settings

BAKED = {"name": "a-1", "digest": "1", "inputs": {"install.sh": "x"}, "urn": "u", "outcome": "baked"}


@pytest.mark.parametrize("key", ["name", "digest"])
def test_another_digest_replaces_the_image(key: str) -> None:
    found = BakedImageProvider().diff("a-1", BAKED, {**BAKED, key: "2"})
    assert (found.changes, found.replaces, found.delete_before_replace) == (True, [key], False)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LibrarySnapshot | None]]:
    """What the plugin sees of the library: the last entry, None if it can't be read."""
    shown: list[LibrarySnapshot | None] = [LibrarySnapshot()]
    monkeypatch.setattr(provider.library_view, "look", lambda _urn: shown[-1])
    yield shown


IMAGE = ImageRecord("a-1", "d" * 64, "a", "", "a", "2029-01-01T00:00:00Z", proof=Proof.PASSED)
THERE = LibrarySnapshot((IMAGE,), {"a": "a-1"}, {"a-1": "tests-1-and-the-rest"})


@pytest.mark.parametrize("key", ["inputs", "urn", "outcome"])
def test_what_only_informs_changes_nothing(key: str, held: list[LibrarySnapshot | None]) -> None:
    held.append(THERE)
    found = BakedImageProvider().diff("a-1", BAKED, {**BAKED, key: "other"})
    assert (found.changes, found.replaces) == (False, [])


@pytest.mark.parametrize("key", ["image", "tests"])
def test_another_image_or_other_tests_replace_the_test(key: str) -> None:
    olds = {"image": "a-1", "tests": "t", "urn": "u"}
    found = FluidRunTestProvider().diff("a-1-t", olds, {**olds, key: "2"})
    assert (found.changes, found.replaces) == (True, [key])


def test_another_project_has_images_tests_and_families_of_its_own() -> None:
    here, there = {"project": "p"}, {"project": "q"}
    assert BakedImageProvider().diff("a-1", BAKED | here, BAKED | there).replaces == ["project"]
    tested = {"image": "a-1", "tests": "t"}
    assert FluidRunTestProvider().diff("a-1-t", tested | here, tested | there).replaces == ["project"]
    promoted = PromotedImageProvider().diff("a", {"family": "a", **here}, {"family": "a", **there})
    assert (promoted.changes, promoted.replaces) == (True, []), "the family in the project before stays as it is"


def test_another_image_updates_the_promotion() -> None:
    olds = {"image": "a-1", "family": "a"}
    found = PromotedImageProvider().diff("a", olds, {**olds, "image": "a-2"})
    assert (found.changes, found.replaces) == (True, [])


SAME = {"name": "a-1", "image": "a-1", "tests": "tests-1", "family": "a", "urn": "u"}


@pytest.mark.parametrize(
    ("seen", "lost"),
    [
        (THERE, ""),
        (None, ""),
        (LibrarySnapshot(), "BakedImage FluidRunTest PromotedImage"),
        (replace(THERE, families={}), "PromotedImage"),
        (replace(THERE, families={"a": "a-2"}), "PromotedImage"),
        (replace(THERE, proven={"a-1": "tests-2"}), "FluidRunTest"),
        (replace(THERE, images=(replace(IMAGE, proof=Proof.FAILED),)), "FluidRunTest"),
        (replace(THERE, images=(replace(IMAGE, proof=Proof.UNTESTED),), proven={}), "FluidRunTest"),
    ],
    ids=["as it was", "uncertain", "another folder", "given back", "moved", "other tests", "failed since", "new bytes"],
)
def test_with_equal_inputs_the_library_decides(
    seen: LibrarySnapshot | None, lost: str, held: list[LibrarySnapshot | None]
) -> None:
    held.append(seen)
    kinds = {"BakedImage": BakedImageProvider(), "FluidRunTest": FluidRunTestProvider()}
    found = {name: kind.diff("id", SAME, SAME) for name, kind in kinds.items()}
    promoted = PromotedImageProvider().diff("a", SAME, SAME)
    changed = [name for name, one in found.items() if one.changes] + (["PromotedImage"] if promoted.changes else [])
    assert changed == lost.split()
    assert [name for name, one in found.items() if one.replaces] == [name for name in found if name in lost]
    assert promoted.replaces == [], "an update: the engine deletes nothing"


def test_the_library_is_read_once_and_again_after_a_change(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[object] = []
    monkeypatch.setattr(provider, "settings", lambda _urn: make_settings())
    monkeypatch.setattr(provider.snapshot, "read", lambda *given: reads.append(given) or LibrarySnapshot())
    looking = provider._Library()
    assert [looking.look("u"), looking.look("u")] == [LibrarySnapshot()] * 2
    assert len(reads) == 1
    looking.forget()
    looking.look("u")
    assert len(reads) == 2


def test_a_library_that_cannot_be_read_changes_nothing_and_says_so_once(
    make_settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, str]] = []

    class Engine:
        def warn(self, urn: str, text: str) -> None:
            said.append((urn, text))

    made = make_settings()
    (made.state / "library" / "library.sqlite").mkdir(parents=True)
    monkeypatch.setattr(provider, "settings", lambda _urn: made)
    monkeypatch.setattr(provider.progress, "engine", Engine)
    looking = provider._Library()
    assert [looking.look("u"), looking.look("v")] == [None, None]
    assert [urn for urn, _ in said] == ["u"]
    assert "the library can't be read" in said[0][1]


@pytest.mark.parametrize("kind", [BakedImageProvider, FluidRunTestProvider, PromotedImageProvider])
def test_a_provider_is_stored_as_a_short_reference_to_its_module(kind: type) -> None:
    stored = base64.b64decode(serialize_provider(kind()))
    assert kind.__module__.encode() in stored
    assert len(stored) < 100
    assert kind.serialize_as_secret_always is False  # type: ignore[attr-defined]


def test_project_and_stack_are_read_from_the_urn() -> None:
    assert provider.owner_of(f"urn:pulumi:dev::image-bakery::{PREFIX}BakedImage::hpcc") == "image-bakery/dev"


def test_an_interruption_says_that_nothing_is_lost_once() -> None:
    assert provider.stopped(Interrupted("packer was stopped")).message.count("nothing is lost") == 1
    assert provider.stopped(Interrupted("stopped, nothing is lost")).message.count("nothing is lost") == 1


def test_a_missing_order_says_who_writes_it(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureFailed, match="run `pulumi up`, which writes it"):
        provider.read_order(tmp_path / "none.json")


def test_an_order_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    file = order_files.bake_file(StatePaths(tmp_path), "a-1")
    order_files._put(file, {"b": 1, "a": [2]})
    before = file.stat().st_ino
    order_files._put(file, {"a": [2], "b": 1})
    assert file.stat().st_ino == before
    file.write_bytes(b"\xff, a damaged one")
    order_files._put(file, {"a": []})
    assert json.loads(file.read_text(encoding="utf-8")) == {"a": []}
    assert [entry.name for entry in file.parent.iterdir()] == ["a-1.json"]


ORDER = RunOrder("a-1", "tests-1", "a", "", Suite(()), (), "", "", "")
RUN = RunResult("run-1", "a-1", "tests-1", Verdict.PASSED, "2030-01-01T00:00:00Z")


@pytest.fixture
def library(make_settings: Callable[..., Settings], tmp_path: Path) -> LocalLibrary:
    """A library with one image."""
    library = LocalLibrary(make_settings())
    file = tmp_path / "image"
    file.write_text("image", encoding="utf-8")
    library.publish(ImageRecord("a-1", "d" * 64, "a", "", "a", "2029-01-01T00:00:00Z"), file)
    return library


def proven(library: LocalLibrary, run: RunResult, proof: Proof = Proof.PASSED) -> LocalLibrary:
    library.record_run(run)
    library.record_test("a-1", proof, run.tests_digest)
    return library


@pytest.mark.parametrize("known", [b"", b"before"])
def test_an_order_that_finds_no_room_leaves_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bytes
) -> None:
    file = tmp_path / "orders" / "a.json"
    file.parent.mkdir()
    if known:
        file.write_bytes(known)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(InfrastructureFailed, match=r"a\.json: No space left on device\nhint: make room"):
        order_files._put(file, {"a": 1})
    assert [one.read_bytes() for one in file.parent.iterdir()] == ([known] if known else [])


def test_what_the_system_refuses_is_no_defect_of_the_bakery() -> None:
    said = str(provider.unexpected(OSError(errno.ENOSPC, "No space left on device", "/x/log")))
    assert said == "/x/log: No space left on device\nhint: make room, for instance: bakery prune"
    assert "internal error" in str(provider.unexpected(OSError(errno.ENOENT, "No such file", "/x")))


def found_run(library: LocalLibrary) -> RunResult | None:
    image = library.find("a-1")
    assert image is not None
    return passing_run(library, ORDER, image)


def test_a_run_in_the_second_in_which_the_image_was_published_stands(library: LocalLibrary) -> None:
    image = library.find("a-1")
    assert image is not None
    run = replace(RUN, started=image.created.replace("Z", ".425Z"))
    assert found_run(proven(library, run)) is not None


def test_a_passed_run_stands(library: LocalLibrary) -> None:
    found = found_run(proven(library, RUN))
    assert found is not None
    assert found.run_id == "run-1"


@pytest.mark.parametrize(
    "run",
    [
        replace(RUN, tests_digest="tests-2"),
        replace(RUN, verdict=Verdict.FAILED),
        replace(RUN, verdict=Verdict.ERROR),
        replace(RUN, started="2020-01-01T00:00:00Z"),
    ],
    ids=["other tests", "failed", "infrastructure", "of an image of that name before"],
)
def test_other_runs_do_not_stand(library: LocalLibrary, run: RunResult) -> None:
    assert found_run(proven(library, run)) is None


def twin(library: LocalLibrary) -> tuple[RunOrder, ImageRecord]:
    """Let another family have the image too; return the order to test that one, and it."""
    assert library.join(replace(IMAGE, name="b-1", candidate_for="b", created="2031-01-01T00:00:00Z"))
    image = library.find("b-1")
    assert image is not None
    return replace(ORDER, image="b-1"), image


def test_a_passed_run_of_the_same_digest_stands_and_is_recorded(library: LocalLibrary) -> None:
    order, made = twin(proven(library, RUN))
    found = adopt_run(library, order, made)
    assert found is not None
    assert found.run_id == "run-1"
    image = library.find("b-1")
    assert image is not None
    assert image.proof is Proof.PASSED
    assert library.proofs([image]) == {"b-1": "tests-1"}


def test_a_verdict_of_its_own_counts_more_than_that_of_the_same_digest(library: LocalLibrary) -> None:
    order, _ = twin(proven(library, RUN))
    library.record_test("b-1", Proof.FAILED, "tests-1")
    failed = library.find("b-1")
    assert failed is not None
    assert adopt_run(library, order, failed) is None


def test_a_proof_that_was_taken_away_does_not_stand(library: LocalLibrary) -> None:
    assert found_run(proven(library, RUN, Proof.FAILED)) is None
