"""How long jobs may take, by their own limit and by what their options say to sbatch."""

from __future__ import annotations

import pytest

from bakery.fluid_run.clusters.course import allowed_seconds
from bakery.recipe.model import TestJob


@pytest.mark.parametrize(
    ("options", "seconds"),
    [
        ("", 3600),
        ("--nodes=2 --time=5", 300),
        ("--time 1:30", 90),
        ("-t2:00:00 -n 2", 7200),
        ("-n 2 -t 1-0", 86400),
        ("--gres=gpu:nvidia-tesla-t4:1", 3600),
        ("--partition=gpu-t4", 3600),
    ],
)
def test_a_job_may_take_what_it_asks_for_or_an_hour(options: str, seconds: float) -> None:
    assert allowed_seconds(TestJob("group", "run.sh", "out", batch_options=options)) == seconds


def test_a_limit_of_its_own_counts_for_each_attempt() -> None:
    assert allowed_seconds(TestJob("group", "run.sh", "out", batch_options="-t 5", time_limit=60, attempts=3)) == 180
