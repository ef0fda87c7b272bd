"""Refresh and destroy, adoption, two stacks, and the state of an older program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.engine.conftest import Start
from tests.engine.test_interruption import recover
from tests.support import workshop as shop
from tests.support.root import ROOT
from tests.support.workshop import Workshop


@pytest.fixture
def done(start: Start) -> Workshop:
    """One promoted image."""

    def prepare(workshop: Workshop) -> None:
        workshop.recipe("hpcc")
        workshop.must_up()

    return start("one", prepare)


def image_file(workshop: Workshop, name: str) -> Path:
    return workshop.library.image_file(name)


def test_refresh_of_what_is_as_it_was_changes_nothing(done: Workshop) -> None:
    assert done.run("refresh", "--yes", "--skip-preview").code == 0
    assert done.steps() == {}


def test_refresh_drops_an_image_that_was_removed_behind_our_back(done: Workshop) -> None:
    image_file(done, done.families()["hpcc"]).unlink()
    refresh = done.run("refresh", "--yes", "--skip-preview")
    assert refresh.code == 0, refresh.text
    assert done.steps()["BakedImage hpcc"] == "create"
    done.must_up()
    assert image_file(done, done.families()["hpcc"]).exists()
    assert len(done.library.runs()) == 2, "new bytes have to be tested anew"


def test_what_the_library_lost_is_made_again_by_the_next_make_up(done: Workshop) -> None:
    """Without a word from the user: the engine sees it."""
    for file in (done.folder / ".bakery" / "library").glob("library.sqlite*"):
        file.unlink()
    assert done.families() == {}
    done.must_up()
    image = done.families()["hpcc"]
    assert done.bake_logs() == 1, "the file is still there"
    image_file(done, image).unlink()
    done.must_up()
    assert image_file(done, done.families()["hpcc"]).exists()
    assert recover(done) == ""


@pytest.mark.parametrize("folder", ["disk", "disk/bakery"])
def test_an_empty_mount_point_loses_nothing(workshop: Workshop, folder: str) -> None:
    workshop.state = folder
    workshop.recipe("hpcc")
    workshop.must_up()
    (workshop.folder / "disk").rename(workshop.folder / "unmounted")
    (workshop.folder / "disk").mkdir()
    assert workshop.steps() == {}
    assert "is a disk not mounted?" in workshop.preview().text
    assert workshop.run("refresh", "--yes", "--skip-preview").code == 0
    assert len(workshop.resources()) == 3
    (workshop.folder / "disk").rmdir()
    (workshop.folder / "unmounted").rename(workshop.folder / "disk")
    workshop.must_up("--expect-no-changes")


def test_refresh_keeps_what_is_not_certainly_gone(done: Workshop) -> None:
    file = image_file(done, done.families()["hpcc"])
    file.write_bytes(file.read_bytes() + b"x")
    refresh = done.run("refresh", "--yes", "--skip-preview")
    assert refresh.code == 0, refresh.text
    assert len(done.resources()) == 3
    assert f"to bake it again: rm {file}" in done.must_up("--expect-no-changes")


def test_nothing_changes_while_the_library_cannot_be_read(done: Workshop) -> None:
    for file in (done.folder / ".bakery" / "library").glob("library.sqlite*"):
        file.write_bytes(b"damaged")
    refresh = done.run("refresh", "--yes", "--skip-preview")
    assert refresh.code == 0, refresh.text
    assert "are kept" in refresh
    assert len(done.resources()) == 3
    assert "is damaged" in done.up()
    assert len(done.resources()) == 3
    assert done.outputs()["images"]["hpcc"]["tested"] is True, "as they were"


def test_refresh_sees_a_family_that_was_moved_and_up_moves_it_back(done: Workshop) -> None:
    first = done.families()["hpcc"]
    done.write("packages/hpcc/install.sh", "#!/bin/bash\necho second\n")
    done.must_up()
    second = done.families()["hpcc"]
    done.library.promote(first, "hpcc")
    assert done.run("refresh", "--yes", "--skip-preview").code == 0
    assert done.steps() == {"PromotedImage hpcc": "update"}
    done.must_up()
    assert done.families()["hpcc"] == second


def test_destroy_keeps_files_and_results(done: Workshop) -> None:
    image = done.families()["hpcc"]
    destroy = done.run("destroy", "--yes", "--skip-preview")
    assert destroy.code == 0, destroy.text
    assert done.resources() == []
    assert done.families() == {}
    assert image_file(done, image).exists()
    assert done.library.find(image).state == "DEPRECATED"  # type: ignore[union-attr]
    assert len(done.library.runs()) == 1


def test_destroyed_then_up_again_adopts(done: Workshop) -> None:
    image = done.families()["hpcc"]
    assert done.run("destroy", "--yes", "--skip-preview").code == 0
    done.must_up()
    assert done.families()["hpcc"] == image
    assert done.library.find(image).state == "ACTIVE"  # type: ignore[union-attr]
    assert done.bake_logs() == 1
    assert len(done.library.runs()) == 1
    assert done.resources("BakedImage")[0]["outputs"]["outcome"] == "adopted"


def test_a_package_that_left_is_given_back(done: Workshop) -> None:
    done.recipe("other")
    done.must_up()
    shutil.rmtree(done.folder / "packages" / "hpcc")
    done.must_up()
    assert set(done.families()) == {"other"}


def test_another_stack_adopts_what_the_first_baked(done: Workshop) -> None:
    other = Workshop(done.folder, done.env, stack="second")
    shop.init(other)
    other.must_up()
    assert other.resources("BakedImage")[0]["outputs"]["outcome"] == "adopted"
    assert done.bake_logs() == 1


def test_a_stack_that_is_destroyed_leaves_the_family_to_another_with_the_same_image(done: Workshop) -> None:
    image = done.families()["hpcc"]
    other = shop.init(Workshop(done.folder, done.env, stack="second"))
    other.must_up()
    destroy = done.run("destroy", "--yes", "--skip-preview")
    assert destroy.code == 0, destroy.text
    assert done.families() == {"hpcc": image}
    assert done.library.find(image).state == "ACTIVE"  # type: ignore[union-attr]
    assert other.run("destroy", "--yes", "--skip-preview").code == 0
    assert done.families() == {}
    assert done.library.find(image).state == "DEPRECATED"  # type: ignore[union-attr]
    assert list(done.library.wants()) == []


def test_a_stack_that_is_destroyed_leaves_the_family_that_another_moved_on(done: Workshop) -> None:
    image = done.families()["hpcc"]
    done.write("packages/hpcc/install.sh", "#!/bin/bash\necho second\n")
    other = Workshop(done.folder, done.env, stack="second")
    shop.init(other).must_up()
    newer = done.families()["hpcc"]
    assert newer != image
    assert done.run("destroy", "--yes", "--skip-preview").code == 0
    assert done.families()["hpcc"] == newer


def test_two_stacks_at_once_bake_a_digest_once(workshop: Workshop) -> None:
    workshop.recipe("hpcc")
    workshop.fake = {"seconds": 3}
    other = shop.init(Workshop(workshop.folder, workshop.env, workshop.fake, stack="second"))
    both = [one.start("up", "--yes", "--skip-preview") for one in (workshop, other)]
    texts = [one.communicate(timeout=shop.TIMEOUT)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], texts
    outcomes = sorted(one.resources("BakedImage")[0]["outputs"]["outcome"] for one in (workshop, other))
    assert outcomes[0] in ("adopted", "baked")
    assert outcomes != ["baked", "baked"]
    assert workshop.library.runs()


def test_the_names_in_the_state_are_frozen(done: Workshop) -> None:
    """A state of today must load in years: these references may never change."""
    found = {one["type"]: one["inputs"]["__provider"] for one in done.resources()}
    assert found == {
        "pulumi-python:dynamic/bakery:BakedImage": REFERENCES["BakedImage"],
        "pulumi-python:dynamic/bakery:FluidRunTest": REFERENCES["FluidRunTest"],
        "pulumi-python:dynamic/bakery:PromotedImage": REFERENCES["PromotedImage"],
    }


REFERENCES = {
    "BakedImage": "gASVOgAAAAAAAACMHGJha2VyeS5yZXNvdXJjZXMuYmFrZWRfaW1hZ2WUjBJCYWtlZEltYWdlUHJvdmlkZXKUk5QpgZQu",
    "FluidRunTest": "gASVPwAAAAAAAACMH2Jha2VyeS5yZXNvdXJjZXMuZmx1aWRfcnVuX3Rlc3S"
    "UjBRGbHVpZFJ1blRlc3RQcm92aWRlcpSTlCmBlC4=",
    "PromotedImage": "gASVQAAAAAAAAACMH2Jha2VyeS5yZXNvdXJjZXMucHJvbW90ZWRfaW1hZ2W"
    "UjBVQcm9tb3RlZEltYWdlUHJvdmlkZXKUk5QpgZQu",
}


def drift(workshop: Workshop, code: int) -> str:
    """What ``bakery drift`` prints, which has to end with that code."""
    command = [str(ROOT / ".venv/bin/bakery"), "drift", "--stack", workshop.stack]
    done = subprocess.run(command, cwd=workshop.folder, env=workshop.env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_drift_is_found_and_mended_by_what_it_says(done: Workshop) -> None:
    first = done.families()["hpcc"]
    assert drift(done, 0) == "no drift\n"
    done.write("packages/hpcc/install.sh", "#!/bin/bash\necho second\n")
    done.must_up()
    second = done.families()["hpcc"]
    done.library.promote(first, "hpcc")
    said = drift(done, 3)
    assert f"moved: hpcc: points at {first} instead of {second}" in said
    assert said.endswith("to mend it: pulumi up --stack dev\n")
    done.must_up()
    image_file(done, second).unlink()
    assert f"gone: {second}: is not in the library, and the stack image-bakery/dev needs it" in drift(done, 3)
    done.must_up()
    assert drift(done, 0) == "no drift\n"


def test_changed_labels_are_restored_by_refresh_and_up(done: Workshop) -> None:
    image = done.families()["hpcc"]
    labels = done.library.images()[0].labels
    done.library.relabel(image, {"bakery-recipe": "other"})
    assert f"labels: {image}: has other labels than it was baked with: bakery-recipe is other" in drift(done, 3)
    assert done.run("refresh", "--yes", "--skip-preview").code == 0
    assert done.steps() == {"BakedImage hpcc": "replace"}
    done.must_up()
    assert done.library.images()[0].labels == labels
    assert (done.families()["hpcc"], done.bake_logs(), len(done.library.runs())) == (image, 1, 1)
    assert drift(done, 0) == "no drift\n"
    done.must_up("--expect-no-changes")
