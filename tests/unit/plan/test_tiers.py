"""The sizes of a recipe's jobs by tier: the stack names the tier, and they count for the tests only."""

from __future__ import annotations

from pathlib import Path

import pytest

from bakery.lock.model import Lock
from bakery.plan import plan
from bakery.plan.model import ImagePlan
from bakery.recipe.model import SuiteJob
from bakery.settings import parse
from tests.support import recipe_tree

SECOND = """\
- command_group: smoke
  execution_command: packages/app/test/run.sh
  output_directory: app/long
"""
TIERS = """\
tiers:
  smoke:
    app/long: false
  full:
    app/smoke: {batch_options: "--nodes=2 --export=ALL,N=9000", time_limit: 2h, references: {speed: 40}}
"""
MATRIX = """\
matrix:
  axes: {compiler: [gcc@12, gcc@13]}
  variants:
  - match: {compiler: gcc@13}
    tiers:
      full:
        app/smoke: {time_limit: 1h, references: {speed: {reference: 50, lower: -0.2}}}
"""


def images(root: Path, tier: str, recipe: str | None = TIERS) -> list[ImagePlan]:
    recipe_tree.write(root, {"recipe.yaml": recipe, "fluidrun.yaml": recipe_tree.SUITE + SECOND})
    loaded = recipe_tree.loaded(root)
    assert loaded.problems == ()
    settings = parse({"oven": "fake", "cluster": {"tier": tier} if tier else {}}, "dev", root)
    return list(plan.draft(settings, loaded, Lock(), locked=False).images)


def image(root: Path, tier: str, recipe: str | None = TIERS) -> ImagePlan:
    (made,) = images(root, tier, recipe)
    return made


def jobs(made: ImagePlan) -> dict[str, SuiteJob]:
    assert made.tests is not None
    return {job.output_directory: job for job in made.tests.suite.jobs}


def test_a_recipe_without_sizes_is_tested_as_it_is_in_each_tier(tmp_path: Path) -> None:
    bare, full = image(tmp_path, "", None), image(tmp_path, "full", None)
    assert (full.digest, full.tests_digest, full.tests_inputs) == (bare.digest, bare.tests_digest, bare.tests_inputs)
    assert full.tests and full.tests.suite.tier == ""


def test_the_tier_of_the_stack_repeats_the_tests_and_bakes_nothing(tmp_path: Path) -> None:
    bare, smoke, full = image(tmp_path, "", None), image(tmp_path, ""), image(tmp_path, "full")
    assert bare.digest == smoke.digest == full.digest
    assert len({bare.tests_digest, smoke.tests_digest, full.tests_digest}) == 3
    assert (smoke.tests_inputs["tier"], full.tests_inputs["tier"]) == ("smoke", "full")
    assert image(tmp_path, "smoke").tests_digest == smoke.tests_digest, "smoke is the default"


def test_a_size_replaces_what_it_names_and_false_leaves_the_job_out(tmp_path: Path) -> None:
    as_written, smoke, full = (jobs(image(tmp_path, *given)) for given in (("", None), ("smoke",), ("full",)))
    assert list(as_written) == ["app/smoke", "app/long"]
    assert smoke == {"app/smoke": as_written["app/smoke"]}
    assert full["app/long"] == as_written["app/long"]
    job, (metric,) = full["app/smoke"], full["app/smoke"].metrics
    assert (job.batch_options, job.time_limit, job.partition) == ("--nodes=2 --export=ALL,N=9000", 7200, "debug")
    assert (metric.reference, metric.lower, metric.upper) == (40, -0.1, 0.5), "bounds that are not given stay"


def test_a_variant_has_its_own_size_of_a_job(tmp_path: Path) -> None:
    first, second = (jobs(made)["app/smoke"] for made in images(tmp_path, "full", TIERS + MATRIX))
    assert (first.batch_options, first.time_limit) == ("--nodes=2 --export=ALL,N=9000", 7200)
    assert (second.batch_options, second.time_limit) == ("--nodes=1", 3600), "all of the size, not parts of both"
    assert (second.metrics[0].reference, second.metrics[0].lower) == (50, -0.2)
    smoke = [jobs(made) for made in images(tmp_path, "smoke", TIERS + MATRIX)]
    assert [list(one) for one in smoke] == [["app/smoke"]] * 2


@pytest.mark.parametrize(
    ("size", "line", "message"),
    [
        ("app/none: false", 3, "no test has output_directory 'app/none'"),
        ("app/smoke: {partition: big}", 3, "no cluster has partition big"),
        ("app/smoke: {batch_options: -N 9}", 3, "asks for 9 nodes, and the partition has 2"),
        ('app/smoke: {batch_options: "-J \'a"}', 3, "batch_options: No closing quotation"),
        ("app/smoke: {time_limit: 25h}", 3, "'25h' does not match"),
        ("app/smoke: {time_limit: 2d}", 3, "; see docs/recipe.md: Seconds, or 30m, or 2h; at most a day"),
        ("app/smoke: {nodes: 2}", 3, "'nodes' was unexpected"),
        ("app/smoke:\n      references:\n        none: 3", 5, "app/smoke has no metric 'none'"),
        ("app/smoke: {references: {speed: {reference: 1, lower: -2}}}", 3, "lower of speed is beyond zero"),
        ("app/smoke: false\n    app/long: false", 2, "tier full leaves all jobs out"),
    ],
)
def test_what_is_wrong_with_a_size_is_reported_with_its_line(
    tmp_path: Path, size: str, line: int, message: str
) -> None:
    assert_reported(tmp_path, f"tiers:\n  full:\n    {size}\n", line, message)


def test_the_name_of_a_tier_and_sizes_of_variants_are_checked_too(tmp_path: Path) -> None:
    assert_reported(tmp_path, "tiers:\n  huge:\n    app/smoke: false\n", 1, "'huge' was unexpected")
    assert_reported(tmp_path, MATRIX.replace("1h", "25h"), 7, "'25h' does not match")
    assert_reported(tmp_path, MATRIX.replace("app/smoke", "app/none"), 7, "no test has output_directory 'app/none'")
    alone = MATRIX.replace("{time_limit: 1h, references: {speed: {reference: 50, lower: -0.2}}}", "false")
    assert_reported(tmp_path, f"{alone}        app/long: false\n", 6, "tier full leaves all jobs of gcc-13 out")


def assert_reported(root: Path, recipe: str, line: int, message: str) -> None:
    recipe_tree.write(root, {"recipe.yaml": recipe, "fluidrun.yaml": recipe_tree.SUITE + SECOND})
    (problem,) = recipe_tree.loaded(root).problems
    assert message in f"{problem.message}; {problem.hint}"
    assert (Path(problem.file).name, problem.line) == ("recipe.yaml", line)


def test_sizes_without_tests_are_reported(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, {"recipe.yaml": TIERS, "fluidrun.yaml": None})
    found = [one.message for one in recipe_tree.loaded(tmp_path).problems if one.file.endswith("recipe.yaml")]
    assert found == [f"no test has output_directory {name!r}" for name in ("app/long", "app/smoke")]
