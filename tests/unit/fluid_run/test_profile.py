"""An image that is known not to work with the profile is refused before machines start."""

from __future__ import annotations

import pytest

from bakery.errors import ImageRejected
from bakery.fluid_run import profile
from bakery.library.base import ImageRecord
from bakery.library.versions import to_labels
from bakery.recipe.model import ClusterShape
from bakery.settings.cluster import Profile

PRODUCTION = ClusterShape(profile=Profile.PRODUCTION)


def image(slurm: str) -> ImageRecord:
    return ImageRecord("a-1", "d" * 64, "a", "", "a", "2026-01-01T00:00:00Z", labels=to_labels({"slurm": slurm}))


def test_a_slurm_without_control_groups_of_version_2_is_refused() -> None:
    with pytest.raises(ImageRejected) as refused:
        profile.check(PRODUCTION, image("21.08.8"))
    assert refused.value.message == (
        "a-1: the profile production needs Slurm 22.05 or newer, and the image has 21.08.8"
    )
    assert "profile: simple" in refused.value.hint


@pytest.mark.parametrize("version", ["22.05.8", "24.11.5", ""])
def test_newer_and_unknown_versions_pass(version: str) -> None:
    profile.check(PRODUCTION, image(version))


def test_the_simple_profile_takes_any() -> None:
    profile.check(ClusterShape(), image("20.11.9"))
