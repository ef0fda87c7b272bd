"""``bakery release`` takes a proven image of one stack into the library of another, and pins it there."""

from __future__ import annotations

import json
import shutil

import pytest

from bakery.backends import backend
from bakery.infrastructure.grants import TAKER_GRANTS
from bakery.library import revocation
from bakery.library.base import Proof
from bakery.library.local.library import LocalLibrary
from bakery.lock import file as lock_file
from bakery.lock.model import Lock, Place
from bakery.operations.plan import report_of
from bakery.operations.release import release
from bakery.preview.drift import expected_labels
from bakery.results.model import RunResult, Verdict
from bakery.settings import from_file
from tests.fake_google import compute
from tests.fake_google.server import FakeServer
from tests.support.checkout import Checkout
from tests.support.plan_builders import BASE, LOCK

IMAGES = "compute/compute/v1/projects/{}/global/images"


@pytest.fixture
def dev(checkout: Checkout) -> LocalLibrary:
    """The library of ``dev``, where ``app`` was promoted; ``prod`` has another, which is empty."""
    checkout.settings("prod", oven="fake", state=".prod")
    checkout.suite("app", "out")
    assert checkout.invoke("bake", "app").exit_code == 0
    library = LocalLibrary(from_file(checkout.root, "dev"))
    for image in library.images():
        if image.candidate_for == "app":
            library.record_test(image.name, Proof.PASSED, "a" * 64)
            library.record_run(RunResult("run-1", image.name, "a" * 64, Verdict.PASSED, image.created))
        library.promote(image.name, image.candidate_for)
    return library


def prod(checkout: Checkout) -> LocalLibrary:
    return LocalLibrary(from_file(checkout.root, "prod"))


def test_image_parents_and_proof_travel_and_prod_bakes_nothing(checkout: Checkout, dev: LocalLibrary) -> None:
    app = dev.families()["app"]
    done = checkout.run("release", "app", "--to", "prod", "--why", "ticket 7")
    assert done.returncode == 0, done.stderr
    assert f"{app}: copied, with its tests, from the stack dev" in done.stderr
    assert "to do this: pulumi up --stack prod" in done.stderr
    assert from_file(checkout.root, "prod").pins == {"app": app}
    theirs = {image.name: image for image in prod(checkout).images()}
    assert list(theirs) == [image.name for image in dev.images()]
    for image in dev.images():
        mine = theirs[image.name]
        same = (mine.digest, mine.labels, mine.inputs, mine.parent, mine.proof, mine.created)
        assert same == (image.digest, image.labels, image.inputs, image.parent, image.proof, image.created)
        assert prod(checkout).files.image(mine.digest).read_bytes() == dev.files.image(image.digest).read_bytes()
        assert prod(checkout).proofs([mine]) == dev.proofs([image])
    assert prod(checkout).runs(app) == dev.runs(app) != []
    entry = prod(checkout).history.entries("app")[0]
    assert (entry.event, entry.image, entry.why, entry.stack) == ("adopted", app, "ticket 7", "prod")
    planned = json.loads(checkout.invoke("plan", "--json", "--stack", "prod").stdout)["images"]
    assert "bake" not in {one["action"] for one in planned}


def test_again_nothing_is_copied_and_what_a_killed_release_left_out_is_recorded(
    checkout: Checkout, dev: LocalLibrary
) -> None:
    app = dev.families()["app"]
    assert checkout.invoke("release", "app", "--to", "prod").exit_code == 0
    prod(checkout).record_test(app, Proof.UNTESTED, "")
    file = prod(checkout).image_file(app)
    before = file.stat().st_mtime_ns
    done = checkout.run("release", "app", "--to", "prod")
    assert (done.returncode, file.stat().st_mtime_ns) == (0, before), done.stderr
    assert f"{app}: there already, with its tests" in done.stderr
    assert [one.event for one in prod(checkout).history.entries("app")] == ["adopted", "pinned", "pinned"]
    found = prod(checkout).find(app)
    assert found is not None
    assert found.proof is Proof.PASSED
    assert not list(file.parent.glob(".*"))


def test_what_is_not_proven_or_revoked_on_either_side_is_refused(checkout: Checkout, dev: LocalLibrary) -> None:
    app = dev.families()["app"]
    dev.record_test(app, Proof.FAILED, "a" * 64)
    done = checkout.run("release", "app", "--to", "prod")
    assert done.returncode == 1
    assert f"{app} of the stack dev cannot be released: {app} failed its tests" in done.stderr
    assert f"bakery test {app} --stack dev" in done.stderr
    dev.record_test(app, Proof.PASSED, "a" * 64)
    theirs = prod(checkout)
    revocation.revoke(theirs, app, "weak key", theirs.now())
    done = checkout.run("release", "app", "--to", "prod")
    assert done.returncode == 1
    assert f"{app} is revoked in the stack prod: weak key" in done.stderr
    assert f"bakery revoke {app} --undo --stack prod" in done.stderr
    revocation.revoke(dev, app, "weak key", dev.now())
    done = checkout.run("release", "app", "--to", "prod")
    assert f"cannot be released: {app} is revoked: weak key" in done.stderr
    assert (list(theirs.images()), from_file(checkout.root, "prod").pins) == ([], {})


def test_a_file_that_changed_or_another_content_is_refused(checkout: Checkout, dev: LocalLibrary) -> None:
    app = dev.families()["app"]
    file = dev.image_file(app)
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(bytes(len(content)))
    done = checkout.run("release", "app", "--to", "prod")
    assert done.returncode == 1
    assert f"the content of {file} has changed since it was published" in done.stderr
    assert prod(checkout).find(app) is None
    file.write_bytes(content)
    assert checkout.invoke("release", "app", "--to", "prod").exit_code == 0
    sidecar = prod(checkout).files.sidecar(app)
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "sha256": "0" * 64}))
    done = checkout.run("release", "app", "--to", "prod")
    assert done.returncode == 1
    assert "already, with another content" in done.stderr


def test_stacks_of_one_library_and_families_without_an_image_are_refused(checkout: Checkout, dev: LocalLibrary) -> None:
    done = checkout.run("release", "app", "--to", "dev")
    assert done.returncode == 1
    assert "the stacks dev and dev share a library" in done.stderr
    done = checkout.run("release", "app", "--to", "dev", "--stack", "prod")
    assert done.returncode == 1
    assert "app points at no image of the stack prod\nhint: run: pulumi up --stack prod" in done.stderr
    done = checkout.run("release", "none", "--to", "prod")
    assert done.returncode != 0
    assert "the plan has no image family none" in done.stderr


def test_a_library_that_cannot_be_read_changes_nothing(checkout: Checkout, dev: LocalLibrary) -> None:
    file = dev.files.folder.parent / "library.sqlite"
    for part in ("-wal", "-shm"):
        file.with_name(f"{file.name}{part}").unlink(missing_ok=True)
    file.write_bytes(b"no database" * 1000)
    done = checkout.run("release", "app", "--to", "prod")
    assert done.returncode == 1
    assert "library.sqlite is damaged" in done.stderr
    assert (list(prod(checkout).images()), from_file(checkout.root, "prod").pins) == ([], {})


def test_a_released_image_outlives_the_first_library_and_prod_rolls_back_to_it(
    checkout: Checkout, dev: LocalLibrary
) -> None:
    first = dev.families()["app"]
    assert checkout.invoke("release", "app", "--to", "prod").exit_code == 0
    prod(checkout).promote(first, "app")  # as the up of prod does
    (checkout.root / "packages/app/install.sh").write_text("#!/bin/bash\necho new\n")
    assert checkout.invoke("bake", "app").exit_code == 0
    second = next(image.name for image in dev.images() if image.candidate_for == "app" and image.name != first)
    dev.record_test(second, Proof.PASSED, "a" * 64)
    done = checkout.run("release", "app", second[:9], "--to", "prod")
    assert done.returncode == 0, done.stderr
    prod(checkout).promote(second, "app")
    shutil.rmtree(dev.files.folder.parent)
    assert checkout.run("rollback", "app", "--stack", "prod").returncode == 0
    assert from_file(checkout.root, "prod").pins == {"app": first}
    assert checkout.run("library", "--verify", "--stack", "prod").returncode == 0


def test_a_file_cannot_get_into_a_project(checkout: Checkout, dev: LocalLibrary, cloud: FakeServer) -> None:
    lock_file.write(checkout.root / "bakery.lock", Lock({**LOCK.bases, Place.GOOGLE: {"debian-cloud/debian-12": BASE}}))
    done = checkout.run("release", "app", "--to", "gcp")
    assert done.returncode == 1
    assert "is on this computer, and cannot get into the project p" in done.stderr
    assert not from_file(checkout.root, "gcp").pins


def test_between_two_projects_an_image_is_made_from_the_other_and_pinned(checkout: Checkout, cloud: FakeServer) -> None:
    google = {"project": "q", "region": "us-central1", "endpoint": cloud.url}
    checkout.settings("prod", oven="cloud-build", google=google)
    bucket = "storage/storage/v1/b/q-bakery-artifacts"
    cloud.cloud.items[bucket] = {"name": "q-bakery-artifacts"}
    source = backend(from_file(checkout.root, "gcp"))
    for one in report_of(source.settings).decisions:
        labels = {**expected_labels(one.image)}
        compute.add_image(cloud.cloud, IMAGES.format("p"), {"name": one.image.name, "labels": labels})
        source.library().record_test(one.image.name, Proof.PASSED, "a" * 64)
        source.library().promote(one.image.name, one.image.family)
        app = one.image.name
    cloud.cloud.conditions.elsewhere["p"] = {grant.role for grant in TAKER_GRANTS}
    change = release(source, backend(from_file(checkout.root, "prod")), "app")
    assert f"{app}: copied, with its tests, from the stack gcp" in change.notes
    assert from_file(checkout.root, "prod").pins == {"app": app}
    made = cloud.cloud.items[f"{IMAGES.format('q')}/{app}"]
    assert made["sourceImage"].endswith(f"projects/p/global/images/{app}")
    assert made["labels"]["bakery-proof"] == "passed"
