"""``bakery promote`` and ``bakery rollback`` edit the stack's file, and show what the next up does."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bakery.library.base import Proof, Revocation, Want
from bakery.library.local.library import LocalLibrary
from bakery.plan.image_labels import FAILURE_LABEL
from bakery.settings import from_file
from tests.support.checkout import Checkout

FILE = "Pulumi.dev.yaml"


@pytest.fixture
def library(checkout: Checkout) -> LocalLibrary:
    return LocalLibrary(from_file(checkout.root, "dev"))


@pytest.fixture
def images(checkout: Checkout, library: LocalLibrary) -> list[str]:
    """Three images of ``app``, the oldest first; all have passed their tests, the newest is promoted."""
    checkout.suite("app", "out")
    for number in range(3):
        (checkout.root / "packages/app/install.sh").write_text(f"#!/bin/bash\necho {number}\n")
        assert checkout.run("bake", "app").returncode == 0
    names = [image.name for image in library.images() if image.candidate_for == "app"]
    for name in names:
        library.record_test(name, Proof.PASSED, "a" * 64)
        library.promote(name, "app")
    return names


def pins(checkout: Checkout) -> dict[str, str]:
    return dict(from_file(checkout.root, "dev").pins)


def test_a_family_goes_back_one_image_at_a_time_and_forward_again(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    checkout.root.joinpath(FILE).write_text("# ours\nconfig:\n  image-bakery:oven: fake # no machines\n")
    done = checkout.run("rollback", "app")
    assert (done.returncode, pins(checkout)) == (0, {"app": images[1]}), done.stderr
    assert f"pinned to {images[1]}\n" in done.stdout
    assert f" a roll-back: {images[1]} is older than {images[2]}\n" in done.stdout
    assert len([line for line in done.stdout.splitlines() if line.startswith("app-")]) == 1
    assert f"{FILE}: app is pinned to {images[1]}" in done.stderr
    assert "to do this: pulumi up --stack dev" in done.stderr
    library.promote(images[1], "app")  # as that up does
    assert checkout.run("rollback", "app").returncode == 0
    assert pins(checkout) == {"app": images[0]}
    assert checkout.run("promote", "app", images[2][:8]).returncode == 0
    assert pins(checkout) == {"app": images[2]}
    done = checkout.run("promote", "app")
    assert (done.returncode, pins(checkout)) == (0, {}), done.stderr
    assert f"{FILE}: app follows its recipe" in done.stderr
    assert checkout.root.joinpath(FILE).read_text() == "# ours\nconfig:\n  image-bakery:oven: fake # no machines\n"


def test_rollback_skips_images_without_proof_and_ends_where_there_is_none(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    library.record_test(images[1], Proof.FAILED, "a" * 64)
    assert checkout.run("rollback", "app").returncode == 0
    assert pins(checkout) == {"app": images[0]}
    library.record_test(images[0], Proof.FAILED, "a" * 64)
    before = checkout.root.joinpath(FILE).read_text()
    done = checkout.run("rollback", "app")
    assert done.returncode == 1
    assert f"no image of app that is older than {images[2]} has passed its tests" in done.stderr
    done = checkout.run("rollback", "app", "--to", images[1])
    assert done.returncode == 2
    assert f"{FILE}:1: error: image-bakery:pins.app: {images[1]} failed its tests" in done.stderr
    assert checkout.root.joinpath(FILE).read_text() == before


def test_a_rollback_of_what_was_never_promoted_or_planned_is_refused(checkout: Checkout) -> None:
    done = checkout.run("rollback", "app")
    assert (done.returncode, "app points at no image" in done.stderr) == (1, True)
    for command in (("rollback", "apq"), ("promote", "apq"), ("promote", "apq", "app-1")):
        done = checkout.run(*command)
        assert done.returncode == 2
        assert "the plan has no image family apq; known: app" in done.stderr
    done = checkout.run("promote", "app", "app-000000000000")
    assert (done.returncode, "there is no image app-000000000000" in done.stderr) == (1, True)
    assert pins(checkout) == {}


def test_wrong_pins_of_other_families_are_corrected_one_by_one(checkout: Checkout, images: list[str]) -> None:
    checkout.settings(oven="fake", pins={"base": images[0], "gone": "gone-1", "app": "app-000000000000"})
    assert checkout.run("plan").returncode == 2
    assert checkout.run("promote", "gone").returncode == 0
    assert checkout.run("promote", "base").returncode == 0
    assert checkout.run("rollback", "app").returncode == 0
    assert pins(checkout) == {"app": images[1]}
    assert checkout.run("plan").returncode == 0


def test_the_image_of_the_recipe_is_pinned_before_it_is_baked(checkout: Checkout, images: list[str]) -> None:
    (checkout.root / "packages/app/install.sh").write_text("#!/bin/bash\necho new\n")
    planned = json.loads(checkout.run("plan", "--json").stdout)["images"]
    (coming,) = [image["name"] for image in planned if image["family"] == "app"]
    assert coming not in images
    assert checkout.run("promote", "app", coming).returncode == 0
    assert pins(checkout) == {"app": coming}


def test_another_stack_that_wants_the_family_is_named(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    mine = Want("image-bakery/dev", "app", images[2], "t")
    for want in (mine, replace(mine, stack="image-bakery/test", token="u"), replace(mine, stack="p/other", family="b")):
        library.want(want)
    done = checkout.run("rollback", "app")
    assert done.returncode == 0
    notes = [line for line in done.stderr.splitlines() if "the stack" in line]
    assert notes == [
        f"the stack image-bakery/test wants app at {images[2]}: pin it there too, or its next up moves the family"
    ]


def test_a_candidate_is_approved_when_it_has_passed_its_tests(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    def approved() -> dict[str, str]:
        return dict(from_file(checkout.root, "dev").approved)

    done = checkout.run("approve", "app")
    assert done.returncode == 2
    assert f"{FILE}:1: error: app needs no approval; add a pattern of it to image-bakery:approval" in done.stderr
    checkout.settings(oven="fake", approval=["a*"])
    (checkout.root / "packages/app/install.sh").write_text("#!/bin/bash\necho new\n")
    done = checkout.run("approve", "app")
    assert (done.returncode, "is not in the library" in done.stderr, approved()) == (1, True, {})
    assert checkout.run("bake", "app").returncode == 0
    done = checkout.run("approve", "app")
    assert (done.returncode, "is untested" in done.stderr, approved()) == (1, True, {})
    *_, new = library.images()
    planned = json.loads(checkout.run("plan", "--json").stdout)["images"]
    (mine,) = [image for image in planned if image["family"] == "app"]
    library.record_test(new.name, Proof.PASSED, mine["tests"])
    done = checkout.run("plan")
    assert (done.returncode, "waits for approval: bakery approve app" in done.stdout) == (0, True)
    done = checkout.run("approve", "app")
    assert (done.returncode, approved()) == (0, {"app": new.name}), done.stderr
    assert f"{FILE}: {new.name} is approved" in done.stderr
    assert "waits" not in done.stdout and "adopted" in done.stdout


def test_a_channel_is_promoted_approved_and_rolled_back_as_a_family(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    stable = ("app", "--channel", "stable")
    done = checkout.run("promote", *stable, images[1])
    assert (done.returncode, "the plan has no image family app-stable" in done.stderr) == (2, True)
    checkout.settings(oven="fake", channels={"stable": ["app"]}, approval=["*-stable"])
    library.promote(library.derive(images[2], "app-stable"), "app-stable")
    done = checkout.run("rollback", *stable)
    assert (done.returncode, pins(checkout)) == (0, {"app-stable": images[1]}), done.stderr
    own = f"app-stable-{images[1][-12:]}"
    assert f"channel app-stable will point at {own}; made from {images[1]}; pinned to {images[1]}; " in done.stdout
    assert f"a roll-back: {images[1]} is older than {images[2]}" in done.stdout
    assert checkout.run("promote", *stable).returncode == 0
    assert checkout.run("approve", *stable, images[0]).returncode == 0
    assert (pins(checkout), from_file(checkout.root, "dev").approved) == ({}, {"app-stable": images[0]})
    assert checkout.run("promote", *stable, "app-000000000000").returncode == 1


def test_a_reported_failure_is_a_label_of_the_recipes_image_until_it_is_withdrawn(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    def told() -> str:
        image = library.find(images[2])
        assert image is not None
        return image.labels.get(FAILURE_LABEL, "")

    stable = library.derive(images[2], "app-stable")
    done = checkout.run("report-failure", stable)
    assert (done.returncode, "--reason:1: error: is missing" in done.stderr, told()) == (2, True, "")
    done = checkout.run("report-failure", stable, "--reason", "node 12: no boot")
    assert (done.returncode, told()) == (0, "node-12--no-boot"), done.stderr
    assert done.stdout == f"{images[2]}: its roll-out is stopped; see: bakery plan\n"
    done = checkout.run("report-failure", images[2], "--undo")
    assert (done.returncode, told()) == (0, ""), done.stderr
    assert checkout.run("report-failure", "apq", "--reason", "x").returncode == 1


def test_prune_says_what_revocations_do_and_a_dry_run_says_the_same(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    library.revoke(Revocation(images[2], images[2], "bad", "2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z"))
    would = checkout.run("prune", "--dry-run")
    assert (would.returncode, library.families()) == (0, {"app": images[2]}), would.stderr
    done = checkout.run("prune")
    assert (done.returncode, library.families()) == (0, {"app": images[1]}), done.stderr
    assert done.stdout.splitlines()[:2] == [
        f"family app: {images[2]} -> {images[1]}, revoked",
        f"{images[2]}: OBSOLETE, revoked",
    ]
    assert would.stdout == done.stdout.replace("are free", "would be free")


def test_a_rule_of_retention_that_keeps_nothing_stops_prune_before_it_deletes(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    wrong = "image-bakery:retention.ap: neither the plan nor the library has such a family; use one of: app"
    rules = {"ap": {"labels": {"release": "2030"}}, "app": {"keep": 0}}
    checkout.settings(oven="fake", retentionDays=0, retention=rules)
    plan = checkout.run("plan")
    assert (plan.returncode, wrong in plan.stderr) == (0, True), plan.stderr
    for options in ((), ("--dry-run",)):
        done = checkout.run("prune", *options)
        assert (done.returncode, wrong in done.stderr) == (2, True)
    assert {image.name for image in library.images()} >= {*images}
    checkout.settings(oven="fake", retention={"app": {"keep": 0}})
    assert checkout.run("prune", "--dry-run").returncode == 0


def test_an_image_of_a_channel_is_revoked_and_tested_as_the_one_it_was_made_from(
    checkout: Checkout, library: LocalLibrary, images: list[str]
) -> None:
    stable = library.derive(images[2], "app-stable")
    library.promote(stable, "app-stable")
    tested = checkout.run("test", stable)
    assert [run.image for run in library.runs()] == [images[2]], tested.stderr
    done = checkout.run("revoke", "app-stable", "--reason", "bad")
    assert done.returncode == 0, done.stderr
    assert f"{images[2]}: revoked\n" in done.stdout and f"{stable}: revoked, baked from {images[2]}\n" in done.stdout
    assert "set nonce.app to another word" in checkout.run("plan").stderr
    assert checkout.run("revoke", images[2], "--undo").returncode == 0
    assert list(library.revocations()) == []
