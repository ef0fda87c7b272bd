"""The profile of a test cluster is the recipe's, else the stack's, and counts for the tests only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bakery.lock.model import Lock
from bakery.plan import plan
from bakery.plan.model import ImagePlan
from bakery.settings import parse
from bakery.settings.cluster import Profile
from tests.support import recipe_tree

CONF = "PriorityType=priority/multifactor\n"
RECIPE = "cluster: {profile: production, slurm_conf: test/site.conf}\n"


def image(root: Path, cluster: dict[str, Any], recipe: str | None = None, conf: str = CONF) -> ImagePlan:
    recipe_tree.write(root, {"recipe.yaml": recipe, "test/site.conf": conf})
    loaded = recipe_tree.loaded(root)
    assert loaded.problems == ()
    settings = parse({"oven": "fake", "cluster": cluster}, "dev", root)
    (made,) = plan.draft(settings, loaded, Lock(), locked=False).images
    assert made.tests is not None
    return made


def digests(made: ImagePlan) -> tuple[str, str]:
    return made.digest, made.tests_digest


def test_the_simple_profile_leaves_the_tests_as_they_were(tmp_path: Path) -> None:
    bare = image(tmp_path / "bare", {})
    said = image(tmp_path / "said", {"profile": "simple"})
    assert said.tests_digest == bare.tests_digest
    own = image(tmp_path / "own", {"profile": "production"}, "cluster: {profile: simple}\n")
    assert own.tests_digest == bare.tests_digest, "the recipe wins"
    assert own.tests and own.tests.suite.cluster.profile is None


def test_the_profile_of_the_stack_repeats_the_tests_and_bakes_nothing(tmp_path: Path) -> None:
    before, after = image(tmp_path, {}), image(tmp_path, {"profile": "production"})
    assert after.digest == before.digest
    assert after.tests_digest != before.tests_digest
    assert {name for name in after.tests_inputs if name not in before.tests_inputs} == {"profile"}
    assert after.tests and after.tests.suite.cluster.profile is Profile.PRODUCTION


def test_files_of_the_stack_are_staged_and_counted(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text(CONF)
    stack = {"profile": "production", "slurmConf": "site.conf"}
    first = image(tmp_path, stack)
    assert first.tests and first.tests.suite.cluster.slurm_conf == "cluster-profile/slurm_conf"
    (file,) = (one for one in first.tests.files if one.path == "cluster-profile/slurm_conf")
    assert Path(file.source).read_text() == CONF
    (tmp_path / "site.conf").write_text("MaxJobCount=9\n")
    second = image(tmp_path, stack)
    assert (second.digest, second.tests_digest != first.tests_digest) == (first.digest, True)
    unused = image(tmp_path, {**stack, "profile": "simple"})
    assert unused.tests_digest == image(tmp_path, {}).tests_digest, "without the profile the files do not count"


def test_files_of_the_recipe_win(tmp_path: Path) -> None:
    (tmp_path / "site.conf").write_text("MaxJobCount=9\n")
    made = image(tmp_path, {"slurmConf": "site.conf"}, RECIPE)
    assert made.tests and made.tests.suite.cluster.slurm_conf == "packages/app/test/site.conf"
    assert [one.path for one in made.tests.files if "conf" in one.path] == ["packages/app/test/site.conf"]
    changed = image(tmp_path, {"slurmConf": "site.conf"}, RECIPE, conf="MaxJobCount=8\n")
    assert (changed.digest, changed.tests_digest != made.tests_digest) == (made.digest, True)


TFVARS = 'partitions = [{ name = "debug", static_node_count = 3, max_node_count = 0 }]\nlogin_node_count = 0\n'
MATRIX = """\
matrix:
  axes: {compiler: [gcc@12, gcc@13]}
  variants:
  - match: {compiler: gcc@13}
    cluster: {prolog: test/run.sh}
"""


def test_a_cluster_that_only_says_its_profile_keeps_the_machines(tmp_path: Path) -> None:
    recipe_tree.write(
        tmp_path, {"recipe.yaml": RECIPE + MATRIX, "test/site.conf": CONF, "test/rcc.auto.tfvars": TFVARS}
    )
    loaded = recipe_tree.loaded(tmp_path)
    assert loaded.problems == ()
    images = plan.draft(parse({"oven": "fake"}, "dev", tmp_path), loaded, Lock(), locked=False).images
    shapes = [one.tests.suite.cluster for one in images if one.tests]
    assert [(one.partitions[0].nodes, one.login_nodes, one.profile) for one in shapes] == [
        (3, 0, Profile.PRODUCTION)
    ] * 2
    assert [one.prolog for one in shapes] == ["", "packages/app/test/run.sh"]
    assert {one.slurm_conf for one in shapes} == {"packages/app/test/site.conf"}


@pytest.mark.parametrize(
    ("recipe", "problem"),
    [
        (
            "cluster:\n  profile: production\n  slurm_conf: test/none.conf\n",
            "packages/app/recipe.yaml:3: error: slurm_conf names test/none.conf, which does not exist; "
            "write the path of a file below the package's folder, of at most 256 KiB",
        ),
        (
            "cluster:\n  profile: simple\n  slurm_conf: test/site.conf\n",
            "packages/app/recipe.yaml:3: error: slurm_conf has no effect with the profile simple; "
            "remove it, or write profile: production",
        ),
        (
            "cluster:\n  slurm_conf: test/site.conf\n",
            "packages/app/test/site.conf:2: error: SlurmctldHost is set by the test cluster; "
            "remove it: the test cluster has its own",
        ),
    ],
)
def test_faults_of_a_recipe(recipe: str, problem: str, tmp_path: Path) -> None:
    conf = "MaxJobCount=9\nSlurmctldHost=head\n" if problem.startswith("packages/app/test") else CONF
    found = recipe_tree.spoilt(tmp_path, {"recipe.yaml": recipe, "test/site.conf": conf})
    assert [str(one).replace(f"{tmp_path}/", "") for one in found] == [problem]
