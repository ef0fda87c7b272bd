"""Figures, bounds, and what a job's outcome says of the image."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bakery.fluid_run import verdict
from bakery.recipe.model import Metric, SuiteJob

FLOPS = Metric("flops", r"flops: (\S+)", "Gflop/s", reference=10.0, lower=-0.1, upper=0.2)


def test_the_last_match_counts() -> None:
    assert verdict.value_of(FLOPS, "flops: 1\nflops: 2.5e1\n") == 25.0


@pytest.mark.parametrize("text", ["flops: 3\nflops: many\n", "flops: many\nflops: 3\n"])
def test_a_match_that_is_no_number_is_passed_over(text: str) -> None:
    assert verdict.value_of(FLOPS, text) == 3.0


def test_a_match_without_the_figure_is_passed_over() -> None:
    assert verdict.value_of(Metric("n", r"^n:(?: (\d+))?$", ""), "n: 3\nn:\n") == 3.0


def test_a_pattern_without_group_is_the_figure_itself() -> None:
    assert verdict.value_of(Metric("n", r"^\d+$", ""), "x\n12\n") == 12.0


@pytest.mark.parametrize("text", [None, "", "nothing"])
def test_no_match_is_no_value(text: str | None) -> None:
    assert verdict.value_of(FLOPS, text) is None


@pytest.mark.parametrize(("value", "good"), [(8.9, False), (9.0, True), (10.0, True), (12.0, True), (12.1, False)])
def test_bounds_are_fractions_of_the_reference(value: float, good: bool) -> None:
    assert verdict.figure(FLOPS, value).passed is good


def test_bounds_follow_the_size_of_the_reference() -> None:
    assert verdict.bounds(Metric("t", "x", "", reference=200.0, lower=-0.05, upper=0.25)) == (190.0, 250.0)


def test_bounds_of_a_negative_reference_keep_their_order() -> None:
    assert verdict.bounds(Metric("t", "x", "", reference=-10.0, lower=-0.1, upper=0.1)) == (-11.0, -9.0)


def test_bounds_of_a_zero_reference_are_values() -> None:
    lost = Metric("lost", r"lost: (\S+)", "", reference=0.0, upper=0.001)
    assert verdict.bounds(lost) == (None, 0.001)
    assert [verdict.figure(lost, value).passed for value in (0.0, 0.001, 0.002)] == [True, True, False]
    assert verdict.bounds(Metric("drift", "x", "", reference=0.0, lower=-2.0, upper=5.0)) == (-2.0, 5.0)


def test_a_metric_without_reference_is_only_recorded() -> None:
    assert verdict.figure(Metric("t", "x", ""), 1e9).passed


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_no_json_can_hold_is_no_figure(value: str) -> None:
    found = verdict.figure(FLOPS, float(value))
    assert (found.value, found.passed) == (None, False)


def job(*metrics: Metric) -> SuiteJob:
    return SuiteJob("g", "run.sh", "out", metrics=metrics)


def test_the_exit_code_comes_first() -> None:
    found = verdict.judge(job(FLOPS), {"exit_code": 3}, {"reason": "job ended FAILED"}, lambda _: "flops: 10")
    assert (found.passed, found.reason, found.figures[0].value) == (False, "job ended FAILED", 10.0)


def test_a_missing_figure_fails_the_job() -> None:
    found = verdict.judge(job(FLOPS), {"exit_code": 0}, {}, lambda _: "")
    assert (found.passed, found.reason) == (False, "flops was not found in stdout")


def test_a_bad_figure_says_what_was_wanted() -> None:
    found = verdict.judge(job(FLOPS), {"exit_code": 0}, {}, lambda _: "flops: 5")
    assert found.reason == "flops is 5 Gflop/s, wanted at least 9 and at most 12"


@pytest.mark.parametrize(
    ("metric", "why"),
    [
        (Metric("n", r"n: (\d+)", "", reference=10.0, lower=-0.1), "n is 5, wanted at least 9"),
        (Metric("n", r"n: (\d+)", "s", reference=2.0, upper=0.5), "n is 5 s, wanted at most 3"),
    ],
)
def test_only_the_bound_that_there_is_is_wanted(metric: Metric, why: str) -> None:
    assert verdict.judge(job(metric), {"exit_code": 0}, {}, lambda _: "n: 5").reason == why


def test_every_bad_figure_is_told() -> None:
    found = verdict.judge(job(FLOPS, replace(FLOPS, name="peak")), {"exit_code": 0}, {}, lambda _: "")
    assert found.reason == "flops was not found in stdout; peak was not found in stdout"


def test_figures_come_from_the_metrics_own_file() -> None:
    texts = {"stdout": "flops: 10", "other.txt": "mem: 7"}
    found = verdict.judge(
        job(FLOPS, Metric("mem", r"mem: (\d+)", "GB", file="other.txt")), {"exit_code": 0}, {}, texts.get
    )
    assert [figure.value for figure in found.figures] == [10.0, 7.0]
    assert found.passed


def test_the_summary_names_the_failed_jobs() -> None:
    good = verdict.judge(job(), {"exit_code": 0, "benchmark_name": "a"}, {}, lambda _: "")
    bad = verdict.judge(job(), {"exit_code": 2, "benchmark_name": "b"}, {}, lambda _: "")
    assert verdict.summary([good]) == ""
    assert verdict.summary([good, bad]) == "1 of 2 jobs failed: b: exit code 2"
    assert verdict.summary([bad, good, bad]) == "2 of 3 jobs failed: b: exit code 2, b: exit code 2"
