"""Versions as labels of images: Compute Engine accepts them, and they are read as they were found."""

from __future__ import annotations

import re

import pytest

from bakery.fluid_run.agent import versions as agent
from bakery.library import versions
from bakery.library.versions import Software, of_labels, to_labels
from bakery.plan.image_labels import PROOF_LABEL, image_labels, lasting

FOUND = {
    "slurm": "22.05.8",
    "munge": "0.5.15",
    "pmix": "4.2.2",
    "open_mpi": "4.1.4",
    "kernel": "6.1.0-26-cloud-amd64",
    "os": "debian-12",
    "lustre": "none",
}


def test_versions_are_read_from_labels_as_they_were_found() -> None:
    labels = to_labels(FOUND)
    assert labels["bakery-version-slurm"] == "22_05_8"
    assert labels["bakery-version-open-mpi"] == "4_1_4"
    assert of_labels({PROOF_LABEL: "passed", **labels}) == FOUND
    assert FOUND.keys() == {*Software}


@pytest.mark.parametrize(
    ("found", "read"),
    [
        ("4.18.0-553.el8_10.x86_64", "4.18.0-553.el8_10.x86_64"),
        ("6.6.1-RC2+deb~1", "6.6.1-rc2-deb-1"),
        ("5." + "1" * 80, "5." + "1" * 61),
    ],
)
def test_every_kernel_makes_a_label_that_compute_engine_accepts(found: str, read: str) -> None:
    (key, label), *_ = to_labels({"kernel": found}).items()
    assert re.fullmatch(r"[a-z][a-z0-9_-]{0,62}", key)
    assert re.fullmatch(r"[a-z0-9_-]{1,63}", label)
    assert of_labels({key: label}) == {"kernel": read}


def test_what_was_not_found_and_what_another_agent_sends_has_no_label() -> None:
    assert to_labels({"slurm": "", "munge": None, "cuda": "12.4"}) == {}
    assert of_labels(image_labels(package="a", variant="", family="a", digest="d", parent="", revision="")) == {}


def test_a_copy_need_not_have_the_versions_which_a_later_test_may_find() -> None:
    assert lasting({**to_labels(FOUND), "bakery-digest": "d"}) == {"bakery-digest": "d"}


def test_agent_and_library_have_the_same_word_for_what_is_missing() -> None:
    assert agent.ABSENT == versions.ABSENT
    assert {name for name, _, _ in agent.QUESTIONS} < {*Software}
