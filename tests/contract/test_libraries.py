"""What every library promises, run over the library of each back end: see bakery/library/base.py."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from bakery.backends import backend
from bakery.errors import BakeryError
from bakery.library.base import ImageRecord, ImageState, Library, Proof, Revocation, Want
from bakery.library.history import HistoryEntry, HistoryEvent
from bakery.library.local.library import LocalLibrary
from bakery.library.proof import look_up
from bakery.library.retention import prune
from bakery.library.revocation import Due, Enforced, due, enforce, revoke
from bakery.library.versions import of_labels, to_labels
from bakery.results.app_runs import APP_RUNS
from bakery.results.model import JobResult, RunResult, Verdict
from bakery.settings import Settings
from bakery.settings.retention import EVERY_FAMILY, Retention
from tests.fake_google import compute
from tests.fake_google.server import serve
from tests.support.every import every

AT_ONCE = {EVERY_FAMILY: Retention(0)}
TABLE = "bigquery/bigquery/v2/projects/p/datasets/rcc_run/tables/app_runs"
REQUIRED = {
    "command_group": "bench",
    "execution_command": "test/bench.sh",
    "build_id": "run",
    "datetime": "2026-01-01T00:00:00",
    "exit_code": 0,
    "git_sha": "abc",
    "vm_image": "rcc-1",
}


@dataclass(frozen=True)
class Setup:
    """A library, and how an oven puts a finished candidate into it: ``bake(family, content) -> name``, oldest first."""

    library: Library
    bake: Callable[[str, str], str]


def files(settings: Settings) -> Iterator[Setup]:
    library = backend(settings).library()
    assert isinstance(library, LocalLibrary)
    count = 0

    def bake(family: str, content: str) -> str:
        nonlocal count
        count += 1
        digest = hashlib.sha256(f"{family} {content}".encode()).hexdigest()
        file = settings.root / "baked.qcow2"
        file.write_text(content)
        record = ImageRecord(
            f"{family}-{digest[:12]}", digest, "some", "", family, f"2026-01-01T00:00:{count:02}Z", parent="debian-1"
        )
        return library.publish(record, file).name

    yield Setup(library, bake)
    library.database.close()


def local(make_settings: Callable[..., Settings]) -> Iterator[Setup]:
    yield from files(make_settings(oven="local"))


def fake(make_settings: Callable[..., Settings]) -> Iterator[Setup]:
    yield from files(make_settings(oven="fake"))


def google(make_settings: Callable[..., Settings]) -> Iterator[Setup]:
    with serve() as server:
        server.cloud.items["storage/storage/v1/b/p-bakery-artifacts"] = {"name": "p-bakery-artifacts"}
        fields = [{"name": field.name, "type": field.type} for field in APP_RUNS]
        server.cloud.items[TABLE] = {"schema": {"fields": fields}}
        values = {"project": "p", "region": "us-central1", "endpoint": server.url}
        count = 0

        def bake(family: str, content: str) -> str:
            nonlocal count
            count += 1
            digest = hashlib.sha256(f"{family} {content}".encode()).hexdigest()
            labels = {"bakery-digest": digest[:32], "bakery-family": family, "bakery-parent": "debian-1"}
            collection = "compute/compute/v1/projects/p/global/images"
            body = {
                "name": f"{family}-{digest[:12]}",
                "labels": {**labels, "bakery-recipe": "some"},
                "creationTimestamp": f"2026-01-01T00:00:{count:02}Z",
            }
            return str(compute.add_image(server.cloud, collection, body)["name"])

        yield Setup(backend(make_settings(oven="cloud-build", google=values)).library(), bake)
        assert server.cloud.violations == []


# Another back end is another entry: a generator that yields its Setup.
SETUPS: Mapping[str, Callable[[Callable[..., Settings]], Iterator[Setup]]] = {
    "local": local,
    "compute-engine": google,
    "fake": fake,
}


@pytest.fixture(params=sorted(SETUPS))
def setup(request: pytest.FixtureRequest, make_settings: Callable[..., Settings]) -> Iterator[Setup]:
    yield from SETUPS[request.param](make_settings)


def state(setup: Setup, name: str) -> ImageState:
    found = setup.library.find(name)
    assert found is not None
    return found.state


def test_an_image_that_was_never_baked_is_not_found(setup: Setup) -> None:
    assert setup.library.find("rcc-000000000000") is None
    assert list(setup.library.images()) == []
    assert dict(setup.library.families()) == {}


def test_a_candidate_is_found_and_no_family_points_at_it(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    found = setup.library.find(name)
    assert found is not None
    assert (found.name, found.candidate_for, found.family) == (name, "rcc", "")
    assert (found.state, found.proof, found.parent) == (ImageState.ACTIVE, Proof.UNTESTED, "debian-1")
    assert len(found.digest) >= 12
    assert dict(setup.library.families()) == {}


def test_images_come_oldest_first(setup: Setup) -> None:
    names = [setup.bake("rcc", str(number)) for number in range(5)]
    assert [image.name for image in setup.library.images()] == names


def test_promotion_points_the_family_and_deprecates_the_one_before_with_a_pointer(setup: Setup) -> None:
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    assert setup.library.promote(first, "rcc") == ""
    assert setup.library.promote(second, "rcc") == first
    assert dict(setup.library.families()) == {"rcc": second}
    before = setup.library.find(first)
    assert before is not None
    assert (before.state, before.replacement) == (ImageState.DEPRECATED, second)
    assert state(setup, second) is ImageState.ACTIVE


def test_promotion_again_changes_nothing(setup: Setup) -> None:
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    setup.library.promote(first, "rcc")
    setup.library.promote(second, "rcc")
    before = list(setup.library.images())
    assert setup.library.promote(second, "rcc") == ""
    assert list(setup.library.images()) == before
    assert dict(setup.library.families()) == {"rcc": second}


def test_a_deprecated_image_that_is_promoted_again_is_active_again(setup: Setup) -> None:
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    for name in (first, second, first):
        setup.library.promote(name, "rcc")
    assert dict(setup.library.families()) == {"rcc": first}
    found = setup.library.find(first)
    assert found is not None
    assert (found.state, found.replacement) == (ImageState.ACTIVE, "")
    assert state(setup, second) is ImageState.DEPRECATED


def test_promotion_of_a_missing_image_is_an_error_and_leaves_the_family(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    setup.library.promote(name, "rcc")
    with pytest.raises(BakeryError, match="no image rcc-000000000000"):
        setup.library.promote("rcc-000000000000", "rcc")
    assert dict(setup.library.families()) == {"rcc": name}


def test_families_do_not_mix(setup: Setup) -> None:
    first, other = setup.bake("rcc", "one"), setup.bake("hpcc", "one")
    setup.library.promote(first, "rcc")
    setup.library.promote(other, "hpcc")
    assert dict(setup.library.families()) == {"rcc": first, "hpcc": other}
    assert state(setup, first) is ImageState.ACTIVE


def test_a_released_family_points_at_nothing(setup: Setup) -> None:
    """Not even at an older image that is proven: that one comes into service only when somebody says so."""
    names = [setup.bake("rcc", word) for word in ("one", "two", "three")]
    for name in names:
        setup.library.record_test(name, Proof.PASSED, "tests")
        setup.library.promote(name, "rcc")
    assert setup.library.unpromote(names[2], "rcc") is True
    assert dict(setup.library.families()) == {}
    assert [state(setup, name) for name in names[:2]] == [ImageState.DEPRECATED] * 2
    assert setup.library.deprecate(names[2]) is True


def test_a_released_family_can_be_promoted_again(setup: Setup) -> None:
    old, new = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    for name in (old, new):
        setup.library.promote(name, "rcc")
    assert setup.library.unpromote(new, "rcc")
    assert setup.library.promote(old, "rcc") == ""
    assert dict(setup.library.families()) == {"rcc": old}


def test_release_of_a_family_that_moved_on_does_nothing(setup: Setup) -> None:
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    for name in (first, second):
        setup.library.record_test(name, Proof.PASSED, "tests")
        setup.library.promote(name, "rcc")
    assert setup.library.unpromote(first, "rcc") is False
    assert dict(setup.library.families()) == {"rcc": second}
    assert state(setup, first) is ImageState.DEPRECATED


def test_release_never_takes_an_image_of_another_family(setup: Setup) -> None:
    mine, other = setup.bake("rcc", "one"), setup.bake("hpcc", "one")
    for name, family in ((mine, "rcc"), (other, "hpcc")):
        setup.library.promote(name, family)
    assert setup.library.unpromote(mine, "rcc") is True
    assert dict(setup.library.families()) == {"hpcc": other}


def test_release_of_what_is_not_there_is_fine(setup: Setup) -> None:
    assert setup.library.unpromote("rcc-000000000000", "rcc") is False


def test_wants_are_one_for_each_stack_and_family(setup: Setup) -> None:
    assert list(setup.library.wants()) == []
    first, second = Want("p/dev", "rcc", "rcc-1", "t1"), Want("p/dev", "rcc", "rcc-2", "t2")
    other, more = Want("p/test", "rcc", "rcc-1", "t3"), Want("p/dev", "hpcc", "hpcc-1", "t4")
    for want in (first, other, more, second, second):
        setup.library.want(want)
    assert set(setup.library.wants()) == {more, second, other}
    assert len(setup.library.wants()) == 3


def test_stacks_and_families_with_names_alike_do_not_mix(setup: Setup) -> None:
    wants = [Want("a.b/c", "rcc", "1", "t1"), Want("a/b.c", "rcc", "2", "t2"), Want("a/b", "rcc-next", "3", "t3")]
    for want in wants:
        setup.library.want(want)
    assert set(setup.library.wants()) == set(wants)
    assert setup.library.drop_want("a/b", "rcc", "t3") is False
    assert setup.library.drop_want("a/b", "rcc-next", "t3") is True
    assert set(setup.library.wants()) == set(wants[:2])


def test_a_want_is_withdrawn_only_by_its_own_token(setup: Setup) -> None:
    """The deletion of a replaced resource comes after its successor has registered."""
    setup.library.want(Want("p/dev", "rcc", "rcc-1", "old"))
    setup.library.want(Want("p/dev", "rcc", "rcc-1", "new"))
    for token in ("old", ""):
        assert setup.library.drop_want("p/dev", "rcc", token) is False
    assert setup.library.drop_want("p/dev", "rcc", "new") is True
    assert setup.library.drop_want("p/dev", "rcc", "new") is True, "again: nobody wants it"
    assert list(setup.library.wants()) == []


def test_the_last_stack_that_wants_a_family_releases_it(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    for stack in ("p/dev", "p/test"):
        setup.library.want(Want(stack, "rcc", name, stack))
        setup.library.promote(name, "rcc")
    assert setup.library.drop_want("p/dev", "rcc", "p/dev") is False
    assert setup.library.unpromote(name, "rcc") is False, "another stack wants it"
    assert dict(setup.library.families()) == {"rcc": name}
    assert setup.library.drop_want("p/test", "rcc", "p/test") is True
    assert setup.library.unpromote(name, "rcc") is True
    assert dict(setup.library.families()) == {}


def test_a_stack_without_a_registered_want_releases_what_nobody_wants(setup: Setup) -> None:
    """A state of version 0.1.0 has no token, and the library knows nothing of it."""
    assert setup.library.drop_want("p/dev", "rcc", "") is True
    setup.library.want(Want("p/test", "rcc", "rcc-1", "t"))
    assert setup.library.drop_want("p/dev", "rcc", "") is False


TESTS = "b" * 12  # as in the stack's state
BAD = [
    ({}, "is untested"),
    ({"proof": Proof.FAILED, "digest": "b" * 64}, "failed its tests"),
    ({"proof": Proof.PASSED, "digest": "c" * 64}, "was tested by other tests"),
    ({"proof": Proof.FAILED, "digest": "c" * 64}, "was tested by other tests"),
]


@pytest.mark.parametrize(("verdict", "why"), BAD, ids=[why for _, why in BAD])
@pytest.mark.parametrize("which", ["the image", "an ancestor"])
def test_an_image_without_its_proof_is_found(setup: Setup, verdict: dict[str, Any], why: str, which: str) -> None:
    parent, child = setup.bake("rcc", "one"), setup.bake("hpcc", "one")
    bad, good = (child, parent) if which == "the image" else (parent, child)
    setup.library.record_test(good, Proof.PASSED, "b" * 64)
    if verdict:
        setup.library.record_test(bad, verdict["proof"], verdict["digest"])
    required = {parent: TESTS, child: TESTS}
    assert look_up(setup.library, required) == f"{bad} {why}"
    setup.library.record_test(bad, Proof.PASSED, "b" * 64)
    assert look_up(setup.library, required) == ""


def test_an_image_without_tests_needs_no_proof_but_has_to_exist(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    assert look_up(setup.library, {name: ""}) == ""
    assert look_up(setup.library, {"base-000000000000": "", name: ""}) == "base-000000000000 is not in the library"


def test_a_candidate_can_be_deprecated_with_a_replacement(setup: Setup) -> None:
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    assert setup.library.deprecate(first, second)
    found = setup.library.find(first)
    assert found is not None
    assert (found.state, found.replacement) == (ImageState.DEPRECATED, second)


def test_deprecation_says_whether_it_did_something(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    assert setup.library.deprecate(name) is True
    assert setup.library.deprecate(name) is False


def test_deprecation_never_touches_an_image_that_a_family_points_at(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    setup.library.promote(name, "rcc")
    assert setup.library.deprecate(name) is False
    assert state(setup, name) is ImageState.ACTIVE


def test_deprecation_of_a_missing_image_is_fine(setup: Setup) -> None:
    assert setup.library.deprecate("rcc-000000000000") is False


def test_a_proof_is_kept_and_the_last_word_counts(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    for proof in (Proof.FAILED, Proof.PASSED):
        setup.library.record_test(name, proof, "tests")
        found = setup.library.find(name)
        assert found is not None
        assert found.proof is proof


def test_what_tests_find_becomes_labels_and_stays_until_it_is_found_again(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    before = setup.library.find(name)
    setup.library.record_test(name, Proof.FAILED, "tests", to_labels({"slurm": "22.05.8", "os": "debian-12"}))
    made = setup.library.derive(name, "rcc-stable")
    setup.library.record_test(name, Proof.PASSED, "tests")
    setup.library.record_test(name, Proof.PASSED, "tests", to_labels({"slurm": "22.05.9"}))
    assert before is not None
    for one in (name, made):
        found = setup.library.find(one)
        assert found is not None and found.proof is Proof.PASSED
        assert of_labels(found.labels) == {"slurm": "22.05.9", "os": "debian-12"}
    assert {image.name for image in setup.library.images() if of_labels(image.labels)} == {name, made}
    assert {image.name for image in setup.library.listing().images if of_labels(image.labels)} == {name, made}
    after = setup.library.find(name)
    assert after is not None and before.labels.items() <= after.labels.items()
    assert after.digest == before.digest


def test_a_proof_of_a_missing_image_is_an_error(setup: Setup) -> None:
    with pytest.raises(BakeryError, match="no image rcc-000000000000"):
        setup.library.record_test("rcc-000000000000", Proof.PASSED, "tests")


def test_proofs_name_the_tests_of_the_last_verdict(setup: Setup) -> None:
    tested, untested, other = (setup.bake("rcc", word) for word in ("one", "two", "three"))
    for name, digest in ((tested, "a" * 64), (tested, "b" * 64), (other, "c" * 64)):
        setup.library.record_test(name, Proof.PASSED, digest)
    asked = [image for image in setup.library.images() if image.name in (tested, untested)]
    proofs = setup.library.proofs(asked)
    assert proofs.keys() == {tested}
    assert proofs[tested] and ("b" * 64).startswith(proofs[tested])


def test_runs_are_kept_once_and_come_oldest_first(setup: Setup) -> None:
    job = JobResult({**REQUIRED, "stdout": "much", "stderr": "more"}, passed=True)
    late = RunResult("run-2", "rcc-1", "tests", Verdict.FAILED, "2026-01-02T00:00:00.000Z", (job,), reason="slow")
    early = replace(late, run_id="run-1", started="2026-01-01T00:00:00.000Z", verdict=Verdict.ERROR, jobs=())
    elsewhere = replace(late, run_id="run-3", image="hpcc-1", started="2026-01-03T00:00:00.000Z")
    for run in (late, early, elsewhere, late):
        setup.library.record_run(run)
    assert list(setup.library.runs("rcc-1")) == [early, late]
    assert [run.run_id for run in setup.library.runs()] == ["run-1", "run-2", "run-3"]


def test_runs_leave_out_the_outputs_of_jobs_on_request(setup: Setup) -> None:
    job = JobResult({**REQUIRED, "stdout": "much", "stderr": "more"}, passed=True)
    run = RunResult("run-1", "rcc-1", "tests", Verdict.PASSED, "2026-01-02T00:00:00.000Z", (job,))
    setup.library.record_run(run)
    assert list(setup.library.runs(outputs=False)) == [replace(run, jobs=(replace(job, row=REQUIRED),))]


def test_bake_times_are_seconds_by_family(setup: Setup) -> None:
    setup.bake("rcc", "one")
    assert {family for family, seconds in setup.library.bake_times().items() if seconds > 0} <= {"rcc"}


def test_a_leased_image_can_be_read_and_promoted(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    with setup.library.lease(name), setup.library.lease(name):
        assert setup.library.find(name) is not None
        setup.library.promote(name, "rcc")
    assert dict(setup.library.families()) == {"rcc": name}


def test_what_find_and_images_say_agrees(setup: Setup) -> None:
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    setup.library.promote(first, "rcc")
    setup.library.promote(second, "rcc")
    images = setup.library.images()
    assert {image.name for image in images} == {first, second}
    for image in images:
        found = setup.library.find(image.name)
        assert found is not None
        assert (found.state, found.family, found.proof, found.replacement) == (
            image.state,
            image.family,
            image.proof,
            image.replacement,
        )


def test_the_whole_life_of_two_images(setup: Setup) -> None:
    """What the resources do: up, edit and up again, then destroy in reverse order."""
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    for name in (first, second):
        setup.library.record_test(name, Proof.PASSED, "tests")
        setup.library.promote(name, "rcc")
    assert setup.library.unpromote(second, "rcc")
    setup.library.deprecate(second)
    assert [state(setup, name) for name in (first, second)] == [ImageState.DEPRECATED] * 2
    assert dict(setup.library.families()) == {}


def test_an_image_that_is_not_wanted_walks_through_the_states_and_goes(setup: Setup) -> None:
    library = setup.library
    first, second = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    assert library.deprecate(first, second)
    since = library.listing().deprecated
    assert since.keys() == {first}
    assert since[first] <= library.now()
    found = library.find(first)
    assert found is not None
    assert library.set_state(found, ImageState.OBSOLETE) == 0
    obsolete = library.find(first)
    assert obsolete is not None
    assert (obsolete.state, obsolete.replacement) == (ImageState.OBSOLETE, second)
    assert library.listing().deprecated == since
    assert library.set_state(obsolete, ImageState.DELETED) == obsolete.size > 0
    assert library.find(first) is None
    assert [image.name for image in library.images()] == [second]


def test_what_was_promoted_after_the_decision_is_left_alone(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    assert setup.library.deprecate(name)
    unwanted = setup.library.find(name)
    assert unwanted is not None
    setup.library.promote(name, "rcc")
    for state_then in (ImageState.OBSOLETE, ImageState.DELETED):
        assert setup.library.set_state(unwanted, state_then) is None
    assert state(setup, name) is ImageState.ACTIVE
    assert dict(setup.library.families()) == {"rcc": name}


def test_what_is_gone_already_can_not_be_retired(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    assert setup.library.deprecate(name)
    unwanted = setup.library.find(name)
    assert unwanted is not None
    assert setup.library.set_state(unwanted, ImageState.DELETED) is not None
    assert setup.library.set_state(unwanted, ImageState.DELETED) is None


def test_a_derived_image_has_the_content_and_the_proof_of_its_source(setup: Setup) -> None:
    source = setup.bake("rcc", "one")
    setup.library.record_test(source, Proof.PASSED, "b" * 64)
    name = setup.library.derive(source, "rcc-stable")
    assert name == f"rcc-stable-{source[-12:]}"
    assert setup.library.derive(source, "rcc-stable") == name
    own, made = setup.library.find(source), setup.library.find(name)
    assert own is not None and made is not None
    assert (made.digest, made.size, made.parent, made.package) == (own.digest, own.size, own.parent, own.package)
    assert (made.candidate_for, made.family, made.state) == ("rcc-stable", "", ImageState.ACTIVE)
    assert [(image.source, image.channel) for image in (own, made)] == [(source, ""), (source, "stable")]
    assert {image.name for image in setup.library.images()} == {source, name}
    assert look_up(setup.library, {name: TESTS}) == ""
    setup.library.promote(name, "rcc-stable")
    setup.library.promote(source, "rcc")
    assert dict(setup.library.families()) == {"rcc": source, "rcc-stable": name}
    setup.library.record_test(source, Proof.FAILED, "b" * 64)
    assert look_up(setup.library, {name: TESTS}) == f"{name} failed its tests"
    revoke(setup.library, source, "bad", setup.library.now())
    assert set(enforce(setup.library).obsolete) == {source, name}
    assert dict(setup.library.families()) == {}


def test_an_image_is_derived_from_any_that_exists(setup: Setup) -> None:
    with pytest.raises(BakeryError, match="no image rcc-000000000000"):
        setup.library.derive("rcc-000000000000", "rcc-stable")
    source = setup.bake("rcc", "one")
    setup.library.deprecate(source)
    unwanted = setup.library.find(source)
    assert unwanted is not None
    setup.library.set_state(unwanted, ImageState.OBSOLETE)
    made = setup.library.find(setup.library.derive(source, "rcc-stable"))
    assert made is not None and made.proof is Proof.UNTESTED
    setup.library.promote(made.name, "rcc-stable")
    assert state(setup, made.name) is ImageState.ACTIVE


def test_prune_keeps_what_the_image_of_a_channel_was_made_from(setup: Setup) -> None:
    source = setup.bake("rcc", "one")
    name = setup.library.derive(source, "rcc-stable")
    setup.library.promote(name, "rcc-stable")
    setup.library.deprecate(source)
    done = prune(setup.library, AT_ONCE)
    why = f"{name}, which the family rcc-stable points at, was made from it"
    assert [(step.image.name, step.why) for step in done.kept] == [(source, why)]
    assert setup.library.unpromote(name, "rcc-stable")
    assert [step.image.name for step in prune(setup.library, AT_ONCE).moved] == [source]
    assert setup.library.find(source) is None
    assert setup.library.find(name) is not None, "it has a content of its own"


def test_prune_keeps_what_a_stack_wants_and_says_which(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    assert setup.library.deprecate(name)
    setup.library.want(Want("p/test", "rcc", name, "t"))
    done = prune(setup.library, AT_ONCE)
    assert [(step.image.name, step.why) for step in done.kept] == [(name, "the stack p/test wants it")]
    assert setup.library.drop_want("p/test", "rcc", "t")
    assert [step.image.name for step in prune(setup.library, AT_ONCE).moved] == [name]


def test_prune_deletes_all_that_nobody_wants(setup: Setup) -> None:
    names = [setup.bake("rcc", str(number)) for number in range(4)]
    for name in names:
        setup.library.record_test(name, Proof.PASSED, "tests")
        setup.library.promote(name, "rcc")
    would = prune(setup.library, AT_ONCE, dry_run=True)
    done = prune(setup.library, AT_ONCE)
    assert done == would
    assert {step.image.name for step in done.moved} == {*names[:2]}
    assert [(step.image.name, step.why) for step in done.kept] == [(names[2], "the fallback of family rcc")]
    assert done.freed > 0
    assert [image.name for image in setup.library.images()] == names[2:]


def test_labels_are_set_and_the_others_stay(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    before = setup.library.find(name)
    assert before is not None
    setup.library.relabel(name, {"bakery-variant": "gcc"})
    after = setup.library.find(name)
    assert after is not None
    assert after.labels == {**before.labels, "bakery-variant": "gcc"}
    setup.library.relabel(name, {"bakery-variant": "gcc"})
    with pytest.raises(BakeryError, match="no image rcc-000000000000 to label"):
        setup.library.relabel("rcc-000000000000", {"a": "b"})


def test_nobody_else_is_in_a_family_of_ours(setup: Setup) -> None:
    setup.library.promote(setup.bake("rcc", "one"), "rcc")
    assert dict(setup.library.listing().strangers) == {}


def test_a_promoted_image_is_shared_with_its_consumers(setup: Setup) -> None:
    name, members = setup.bake("rcc", "one"), ["group:a@example.com", "user:b@example.com"]
    setup.library.share(name, members)
    assert list(setup.library.unshared(name, members)) == []


def proven(setup: Setup, family: str, content: str) -> str:
    name = setup.bake(family, content)
    setup.library.record_test(name, Proof.PASSED, "tests")
    return name


def test_revocations_are_one_for_each_image_and_cause(setup: Setup) -> None:
    library = setup.library
    assert list(library.revocations()) == []
    first = Revocation("a-1", "a-1", "it doesn't boot ☠", "2030-01-01T00:00:00Z", "2029-01-01T00:00:00Z")
    child = replace(first, image="b-1")
    for one in (replace(first, reason="other"), first, child, replace(child, cause="b-1")):
        library.revoke(one)
    assert set(library.revocations()) == {first, child, replace(child, cause="b-1")}
    assert sorted(library.drop_revocations("a-1")) == ["a-1", "b-1"]
    assert list(library.drop_revocations("a-1")) == []
    assert [(one.image, one.cause) for one in library.revocations()] == [("b-1", "b-1")]


def test_a_revoked_family_goes_back_to_the_newest_proven_image(setup: Setup) -> None:
    library = setup.library
    names = [proven(setup, "rcc", word) for word in ("one", "two", "three")]
    for name in names:
        library.promote(name, "rcc")
    failed = setup.bake("rcc", "four")
    library.record_test(failed, Proof.FAILED, "tests")
    library.want(Want("p/dev", "rcc", names[2], "t"))
    revoke(library, names[2], "bad", library.now())
    assert look_up(library, {names[2]: "tests"}) == f"{names[2]} is revoked: bad"
    assert as_foreseen(library, due(library)) == Enforced({"rcc": (names[2], names[1])}, (names[2],))
    assert dict(library.families()) == {"rcc": names[1]}
    assert [state(setup, name) for name in names] == [ImageState.DEPRECATED, ImageState.ACTIVE, ImageState.OBSOLETE]
    assert enforce(library) == Enforced({}, ()), "it is idempotent"


def test_a_revoked_family_without_a_proven_image_points_at_nothing_whoever_wants_it(setup: Setup) -> None:
    library = setup.library
    setup.bake("rcc", "untested")
    other, name = proven(setup, "hpcc", "one"), proven(setup, "rcc", "one")
    library.promote(name, "rcc")
    library.promote(other, "hpcc")
    library.want(Want("p/dev", "rcc", name, "t"))
    assert not library.unpromote(name, "rcc")
    revoke(library, name, "bad", library.now())
    assert enforce(library).moved == {"rcc": (name, "")}
    assert dict(library.families()) == {"hpcc": other}
    assert state(setup, name) is ImageState.OBSOLETE


def test_a_revoked_channel_gets_an_older_image_of_its_recipe(setup: Setup) -> None:
    """It has had one image only, which a staged roll-out or an approval may have brought it late."""
    library = setup.library
    old, bad, new = (proven(setup, "rcc", word) for word in ("one", "two", "three"))
    library.promote(library.derive(bad, "rcc-stable"), "rcc-stable")
    library.promote(new, "rcc")
    revoke(library, bad, "bad", library.now())
    moved = {"rcc-stable": (f"rcc-stable-{bad[-12:]}", f"rcc-stable-{old[-12:]}")}
    assert as_foreseen(library, due(library)).moved == moved
    assert dict(library.families()) == {"rcc": new, "rcc-stable": moved["rcc-stable"][1]}
    assert look_up(library, {old: "tests"}) == ""
    assert enforce(library).moved == {}, "it is idempotent"


def as_foreseen(library: Library, asked: Due | None) -> Enforced:
    """Enforce what was asked for, and check that it is what was foreseen."""
    assert asked is not None
    after = asked.after(library.now())
    done = enforce(library)
    found = library.listing()
    assert (asked.foreseen, after.families) == (done, found.families)
    assert {one.name: one.state for one in after.images} == {one.name: one.state for one in found.images}
    return done


def test_a_revocation_releases_no_image_that_waits(setup: Setup) -> None:
    """A candidate that waits for its approval, or for others in a roll-out, is newer and proven, too."""
    library = setup.library
    old, bad, waiting = (proven(setup, "rcc", word) for word in ("one", "two", "three"))
    for name in (old, bad):
        library.promote(name, "rcc")
    revoke(library, bad, "bad", library.now())
    assert enforce(library, lambda family: family == "rcc").moved == {"rcc": (bad, old)}
    revoke(library, old, "bad", library.now())
    assert enforce(library, lambda family: family == "rcc").moved == {"rcc": (old, "")}
    assert state(setup, waiting) is ImageState.ACTIVE
    assert dict(library.families()) == {}


def test_what_a_stack_wants_is_registered_with_the_promotion(setup: Setup) -> None:
    name, want = setup.bake("rcc", "one"), Want("p/dev", "rcc", "", "t")
    setup.library.promote(name, "rcc", replace(want, image=name))
    assert list(setup.library.wants()) == [replace(want, image=name)]


def test_a_revocation_of_the_future_changes_nothing_yet(setup: Setup) -> None:
    library, name = setup.library, proven(setup, "rcc", "one")
    library.promote(name, "rcc")
    revoke(library, name, "bad", "2999-01-01T00:00:00Z")
    assert enforce(library) == Enforced({}, ())
    assert dict(library.families()) == {"rcc": name}
    assert look_up(library, {name: "tests"}) == ""


def test_a_leased_image_can_be_made_obsolete_and_not_deleted(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    with setup.library.lease(name):
        revoke(setup.library, name, "bad", setup.library.now())
        assert enforce(setup.library).obsolete == (name,)


def test_what_is_no_longer_revoked_is_proven_and_promoted_again(setup: Setup) -> None:
    library, name = setup.library, proven(setup, "rcc", "one")
    revoke(library, name, "bad", library.now())
    enforce(library)
    assert list(library.drop_revocations(name)) == [name]
    assert look_up(library, {name: "tests"}) == ""
    library.promote(name, "rcc")
    assert state(setup, name) is ImageState.ACTIVE


def test_what_is_in_use_is_named_with_its_user(setup: Setup) -> None:
    name = setup.bake("rcc", "one")
    assert dict(setup.library.in_use()) == {}
    with setup.library.lease(name):
        assert setup.library.in_use().keys() <= {name}


def test_prune_keeps_as_many_proven_images_as_the_rule_of_the_family_says(setup: Setup) -> None:
    names = [proven(setup, "rcc", str(number)) for number in range(4)]
    for name in names:
        assert setup.library.deprecate(name)
    done = prune(setup.library, {**AT_ONCE, "rcc": Retention(0, keep=2)})
    assert [step.image.name for step in done.kept] == names[2:]


def test_the_history_says_what_was_done_with_a_family_in_order_by_whom_and_why(setup: Setup) -> None:
    history, (first, second) = setup.library.history, (setup.bake("rcc", "one"), setup.bake("rcc", "two"))
    for name in (first, first):
        setup.library.promote(name, "rcc", why="the image of its recipe")
    history.record(HistoryEntry("rcc", HistoryEvent.PINNED, second, why="ticket 7, für alle"))
    setup.library.promote(second, "rcc", Want("p/dev", "rcc", second, "t"), why="pinned")
    assert not setup.library.unpromote(second, "rcc"), "a stack wants it"
    assert setup.library.unpromote(second, "rcc", force=True, why="no more")
    found = history.entries("rcc")
    assert [(one.event, one.image, one.previous, one.why) for one in found] == [
        ("promoted", first, "", "the image of its recipe"),
        ("pinned", second, "", "ticket 7, für alle"),
        ("promoted", second, first, "pinned"),
        ("given back", "", second, "no more"),
    ]
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert {(one.family, one.stack, one.who) for one in found} == {("rcc", "test", history.who)}
    assert every(datetime.fromisoformat(one.at).tzinfo for one in found)
    assert list(history.entries("rc")) == [], "another family, whose name begins the same"


def test_a_revocation_is_in_the_history_of_each_family_with_what_it_moved(setup: Setup) -> None:
    old, new = setup.bake("rcc", "one"), setup.bake("rcc", "two")
    for name in (old, new):
        setup.library.record_test(name, Proof.PASSED, "t")
        setup.library.promote(name, "rcc")
    revoke(setup.library, new, "bad key", "2026-01-01T00:00:00Z")
    enforce(setup.library)
    found = [(one.event, one.image, one.why) for one in setup.library.history.entries("rcc")]
    assert found[2:] == [("revoked", new, "bad key"), ("promoted", old, f"{new} is revoked: bad key")]
