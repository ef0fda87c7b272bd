"""``make up`` for real: two images baked, booted as Slurm clusters, tested by jobs, promoted; then a user's day.

The tests go on from one another, in this order, in one copy of the checkout.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.machines import make_checkout as checkouts
from tests.machines.make_checkout import Checkout, Done
from tests.support.every import every

pytestmark = pytest.mark.machines
SLOT_SECONDS = 900  # another checkout's machines may have all slots of this computer


def test_two_images_are_baked_proven_and_promoted(checkout: Checkout, first: Done) -> None:
    library = checkout.json("bakery library --json")
    images = {image["candidate_for"] or image["family"]: image for image in library["images"]}
    assert set(images) == set(library["families"]) == {"rcc-debian", "hpcc"}
    for family, image in images.items():
        assert (image["state"], image["proof"], image["verdict"]) == ("ACTIVE", "passed", "passed")
        assert library["families"][family] == image["name"]
        assert image["name"] in first.text, "the table at the end names it"
    assert images["hpcc"]["parent"] == images["rcc-debian"]["name"]


def test_progress_was_shown_while_it_went_on(first: Done) -> None:
    for words in ("baking: provisioner ", "testing: "):
        assert words in first.text


def test_the_figures_are_those_of_a_run_on_two_nodes(checkout: Checkout, first: Done) -> None:
    images = {image["family"]: image for image in checkout.json("bakery library --json")["images"]}
    figures = {figure["name"]: figure["value"] for figure in images["hpcc"]["figures"]}
    assert figures["ranks"] == 2
    assert every(figures[name] > 0 for name in ("HPL", "StarDGEMM", "PTRANS", "ping-pong latency"))
    assert "HPL" in first.text


def test_outputs_name_the_images_for_rcc_tf(checkout: Checkout, first: Done) -> None:
    outputs = checkout.json("pulumi stack output --json --stack dev")
    families = checkout.families()
    assert {family: entry["image"] for family, entry in outputs["images"].items()} == families
    assert every(Path(entry["link"]).is_file() for entry in outputs["images"].values())
    software = outputs["images"]["hpcc"]["versions"]
    assert (software["slurm"][:5], software["open_mpi"][:3], software["os"]) == ("22.05", "4.1", "debian-12")
    assert software["pmix"].startswith("4.") and software["munge"] and "amd64" in software["kernel"]
    assert software == outputs["images"]["rcc-debian"]["versions"]
    assert outputs["rcc_tf"]["controller_image"] == outputs["images"]["rcc-debian"]["link"]
    assert [partition["name"] for partition in outputs["rcc_tf"]["partitions"]]


def test_a_second_up_changes_nothing(checkout: Checkout, first: Done) -> None:
    again = checkout.make("up")
    assert again.code == 0, again.text
    assert checkout.steps() == {}
    assert len(checkout.json("bakery library --json")["runs"]) == 2


def test_an_edit_of_a_test_only_tests_again(checkout: Checkout, first: Done) -> None:
    script = checkout.folder / "packages/hpcc/test/run.sh"
    before = script.read_text(encoding="utf-8")
    checkout.edit("packages/hpcc/test/run.sh", "# edited")
    assert checkout.steps() == {"FluidRunTest hpcc": "replace"}
    script.write_text(before, encoding="utf-8")


def test_control_c_in_a_bake_leaves_nothing_and_the_next_up_goes_on(checkout: Checkout, first: Done) -> None:
    before = checkout.families()
    checkout.edit("packages/hpcc/install.sh", "echo edited")
    for name in ("fluidrun.yaml", "recipe.yaml"):  # a bake is stopped here; the first up tested images
        (checkout.folder / "packages/hpcc" / name).unlink()
    preview = checkout.make("preview")
    assert preview.code == 0
    assert "install.sh" in preview.text
    assert {name for name in checkout.steps() if name.startswith("BakedImage")} == {"BakedImage hpcc"}

    with checkouts.ended(checkout.start("up")) as running:
        checkouts.wait_for(
            lambda: any("container.sh" in line or "qemu-system" in line for line in checkout.processes()), SLOT_SECONDS
        )
        time.sleep(1)  # a container needs some seconds for the whole bake
        began = time.monotonic()
        text = checkouts.interrupt(running)
        assert time.monotonic() - began < 30
    assert running.returncode != 0
    assert "BakedImage (hpcc)" in text, "it says what was stopped"
    assert "nothing is lost" in text.splitlines()[-2], "the last line is make's own"
    assert "Traceback" not in text
    assert checkout.processes() == []
    assert list((checkout.folder / ".bakery/work").iterdir()) == []
    assert checkout.families() == before

    done = checkout.make("up")
    assert done.code == 0, done.text
    after = checkout.families()
    assert after["rcc-debian"] == before["rcc-debian"]
    assert after["hpcc"] != before["hpcc"]


def test_destroy_keeps_the_images_and_the_next_up_adopts_them(checkout: Checkout, first: Done) -> None:
    families = checkout.families()
    runs = len(checkout.json("bakery library --json")["runs"])
    destroyed = checkout.make("destroy")
    assert destroyed.code == 0, destroyed.text
    # As on Compute Engine, a family goes back to an older proven image, if there is one.
    assert not set(checkout.families().values()) & set(families.values())
    assert "kept in .bakery/" in destroyed.text
    done = checkout.make("up")
    assert done.code == 0, done.text
    assert checkout.families() == families
    assert len(checkout.json("bakery library --json")["runs"]) == runs, "nothing was baked or tested again"
