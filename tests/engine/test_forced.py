"""What the user forces or leaves out: ``--replace``, ``state taint``, ``--target``, and a stack without packages."""

from __future__ import annotations

import shutil

import pytest

from tests.engine.conftest import Start
from tests.support.workshop import Workshop


@pytest.fixture
def pair(start: Start) -> Workshop:
    """Two images without a parent in common, promoted."""

    def prepare(workshop: Workshop) -> None:
        workshop.recipe("hpcc")
        workshop.recipe("other")
        workshop.must_up()

    return start("two", prepare)


def urn(workshop: Workshop, kind: str) -> str:
    return next(str(one["urn"]) for one in workshop.resources(kind) if one["urn"].endswith("::hpcc"))


@pytest.mark.parametrize("flag", ["--replace", "--target-replace"])
def test_a_forced_test_runs_again(pair: Workshop, flag: str) -> None:
    families = pair.families()
    pair.must_up(flag, urn(pair, "FluidRunTest"))
    assert len(pair.library.runs(families["hpcc"])) == 2
    assert len(pair.library.runs()) == 3, "no other"
    assert pair.families() == families
    assert pair.steps() == {}


def test_a_tainted_test_runs_again_and_if_it_fails_the_next_up_tests_again(pair: Workshop) -> None:
    assert pair.run("state", "taint", urn(pair, "FluidRunTest"), "--yes").code == 0
    pair.fake = {"tests": {"hpcc": {"exit_codes": {"hpcc/smoke": 1}}}}
    assert pair.up().code != 0
    pair.fake = {}
    assert pair.steps()["FluidRunTest hpcc"] == "replace"
    pair.must_up()
    assert len(pair.library.runs(pair.families()["hpcc"])) == 3
    assert pair.steps() == {}


def test_a_forced_bake_is_refused_and_says_how_to_bake_again(pair: Workshop) -> None:
    families = pair.families()
    up = pair.up("--replace", urn(pair, "BakedImage"))
    assert up.code != 0
    assert f"{families['hpcc']} was not baked again" in up
    assert "pulumi config set --path image-bakery:nonce.hpcc" in up
    assert "Traceback" not in up
    pair.must_up()
    assert pair.steps() == {}
    assert pair.families() == families
    assert {str(image.state) for image in pair.library.images()} == {"ACTIVE"}
    pair.extra = {"nonce": {"hpcc": "again"}}
    pair.must_up()
    assert pair.families()["hpcc"] != families["hpcc"]


def test_the_outputs_are_what_the_library_has_after_a_target(pair: Workshop) -> None:
    before = pair.outputs()["images"]
    pair.write("packages/hpcc/install.sh", "#!/bin/bash\necho second\n")
    pair.must_up("--target", urn(pair, "BakedImage"))
    assert pair.outputs()["images"] == before
    assert pair.library.images()[-1].name != before["hpcc"]["image"], "baked, and not promoted"


def test_the_outputs_leave_out_what_was_never_promoted(workshop: Workshop) -> None:
    workshop.recipe("hpcc")
    workshop.recipe("other")
    shown = workshop.preview("--target", "**BakedImage::hpcc")
    assert "link" not in shown
    workshop.must_up("--target", "**BakedImage::hpcc")
    assert workshop.outputs() == {"images": {}, "rcc_tf": {}}
    workshop.must_up()
    assert set(workshop.outputs()["images"]) == {"hpcc", "other"}


@pytest.mark.parametrize("how", ["empty", "missing"])
def test_a_stack_without_packages_is_refused_and_keeps_its_families(pair: Workshop, how: str) -> None:
    families = pair.families()
    shutil.rmtree(pair.folder / "packages")
    if how == "empty":
        (pair.folder / "packages").mkdir()
    up = pair.up()
    assert up.code != 0
    assert ("no package is left to bake" if how == "empty" else "packages:1: error: cannot be read") in up
    assert "Traceback" not in up
    assert pair.families() == families
    assert len(pair.resources()) == 6
