"""A right package loads as it is meant; identity does not depend on the place; what is remembered is never stale."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from bakery.recipe.cache import PackageCache
from bakery.recipe.load import load
from bakery.recipe.model import Metric, SuiteJob
from tests.support import recipe_tree


def test_a_right_package_loads_without_a_word(tmp_path: Path) -> None:
    recipe = recipe_tree.recipe(tmp_path)
    assert (recipe.name, recipe.workspace_path, recipe.timeout) == ("app", "packages/app", 1800)
    assert recipe.substitutions["_IMAGE_FAMILY"] == "app"
    assert [file.path for file in recipe.files] == sorted(f"packages/app/{path}" for path in recipe_tree.files())
    assert [file.path for file in recipe.common] == ["common/etc/sysctl.conf"]
    assert recipe.suite is not None
    assert recipe.suite.jobs[0].metrics[0].reference == 2


def test_a_job_is_read_as_it_is_written(tmp_path: Path) -> None:
    written = recipe_tree.SUITE.replace("  metrics:", "  attempts: 3\n  metrics:").replace("lower: -0.1", "lower: -1")
    suite = recipe_tree.recipe(tmp_path, {"fluidrun.yaml": written}).suite
    assert suite is not None
    speed = Metric("speed", r"speed=(\S+)", "Gflop/s", "stdout", 2, -1, 0.5)
    command = "packages/app/test/run.sh --fast"
    assert suite.jobs == (
        SuiteJob("smoke", command, "app/smoke", "debug", "--nodes=1", time_limit=None, attempts=3, metrics=(speed,)),
    )


@pytest.mark.parametrize(
    ("given", "seconds"),
    [("90", 90), ("45s", 45), ("30m", 1800), ("2h", 7200), ("24h", 86_400), ("25h", None), ("0", None), ("true", None)],
)
def test_a_time_limit_is_in_seconds_minutes_or_hours_and_a_day_at_most(
    tmp_path: Path, given: str, seconds: int | None
) -> None:
    recipe_tree.write(
        tmp_path, {"fluidrun.yaml": recipe_tree.SUITE.replace("  metrics:", f"  time_limit: {given}\n  metrics:")}
    )
    found = recipe_tree.loaded(tmp_path)
    assert [job.time_limit for one in found.recipes if one.suite for job in one.suite.jobs] == (
        [seconds] if seconds else []
    )
    assert [problem.severity for problem in found.problems] == ([] if seconds else ["error"])


def test_positions_point_to_where_values_are_set(tmp_path: Path) -> None:
    assert "_IMAGE_FAMILY: app" in line_of(recipe_tree.recipe(tmp_path / "set").family_at)
    bare = recipe_tree.write(tmp_path / "bare", {"cloudbuild.yaml": None})
    [recipe] = load(bare.parent, tmp_path / "bare" / "common").recipes
    assert '"image_family": "app"' in line_of(recipe.family_at)


def test_packages_at_the_top_level_beside_common(tmp_path: Path) -> None:
    folder = recipe_tree.write(tmp_path, {"cloudbuild.yaml": recipe_tree.build("app"), "fluidrun.yaml": None})
    shutil.move(folder, tmp_path / "app")
    (tmp_path / "docs").mkdir()
    recipes = load(tmp_path, tmp_path / "common")
    assert [recipe.workspace_path for recipe in recipes.recipes] == ["app"]
    assert recipes.problems == ()


def test_the_digest_does_not_depend_on_where_the_tree_lies(tmp_path: Path) -> None:
    assert recipe_tree.recipe(tmp_path / "a").digest == recipe_tree.recipe(tmp_path / "b/c").digest


@pytest.mark.parametrize("path", sorted(recipe_tree.files()))
def test_every_file_is_in_the_digest(tmp_path: Path, path: str) -> None:
    before = recipe_tree.recipe(tmp_path)
    with (before.folder / path).open("a") as file:
        file.write("\n")
    assert recipe_tree.loaded(tmp_path).recipes[0].digest != before.digest


def test_the_mode_is_in_the_digest(tmp_path: Path) -> None:
    before = recipe_tree.recipe(tmp_path)
    (before.folder / "install.sh").chmod(0o755)
    assert recipe_tree.loaded(tmp_path).recipes[0].digest != before.digest


def test_what_is_remembered_is_the_same(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, {"recipe.yaml": MATRIX})
    fresh = recipe_tree.loaded(tmp_path, cache=tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == 1
    assert recipe_tree.loaded(tmp_path, cache=tmp_path / "cache") == fresh == recipe_tree.loaded(tmp_path)


def test_what_is_remembered_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe_tree.write(tmp_path)
    fresh = recipe_tree.loaded(tmp_path, cache=tmp_path / "cache")

    def never(*_: object) -> None:
        raise AssertionError("checked again")

    monkeypatch.setattr("bakery.recipe.check.package.PackageCheck.run", never)
    assert recipe_tree.loaded(tmp_path, cache=tmp_path / "cache") == fresh
    with pytest.raises(AssertionError, match="checked again"):
        recipe_tree.loaded(tmp_path)


def test_a_touched_file_of_the_same_size_and_time_is_never_missed(tmp_path: Path) -> None:
    before = recipe_tree.recipe(tmp_path, cache=tmp_path / "cache")
    script = before.folder / "install.sh"
    times = script.stat()
    script.write_text("#!/bin/dash\n")
    os.utime(script, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert script.stat().st_size == times.st_size
    assert recipe_tree.loaded(tmp_path, cache=tmp_path / "cache").recipes[0].digest != before.digest


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"half", b"swap"])
def test_a_damaged_cache_only_costs_time(tmp_path: Path, damage: bytes) -> None:
    fresh = recipe_tree.recipe(tmp_path, cache=tmp_path / "cache")
    file = next((tmp_path / "cache").iterdir())
    content = file.read_bytes()
    spoilt = {b"half": content[: len(content) // 2], b"swap": content.replace(b"debian-12", b"debian-13")}
    file.write_bytes(spoilt.get(damage, damage))
    assert recipe_tree.loaded(tmp_path, cache=tmp_path / "cache").recipes == (fresh,)


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert recipe_tree.recipe(tmp_path, cache=tmp_path / "cache").name == "app"


def test_missing_folders_are_problems(tmp_path: Path) -> None:
    problems = load(tmp_path / "nowhere", tmp_path / "neither").problems
    assert [problem.severity for problem in problems] == ["warning", "error"]


MATRIX = """
description: an application
owners: [someone]
cluster: {login_nodes: 0, partitions: [{name: debug}, {name: large, nodes: 4}]}
matrix:
  axes:
    compiler: [gcc@12, oneapi]
    arch:
      zen3: {_TARGET_ARCH: zen3}
      any: {_TARGET_ARCH: x86_64}
  family: app-{compiler}-{arch}
  exclude: [{compiler: oneapi, arch: zen3}]
  include: [{point: {compiler: aocc, arch: zen3}, substitutions: {_COMPILER: aocc@4}}]
  variants:
  - match: {arch: zen3}
    parent: base-zen3
    partitions: [debug]
    owners: [another]
    references: {app/smoke: {speed: 3}}
  - match: {compiler: oneapi}
    family: app-intel
"""


def test_a_recipe_may_want_no_layers(tmp_path: Path) -> None:
    assert recipe_tree.recipe(tmp_path / "a").layers
    assert not recipe_tree.recipe(tmp_path / "b", {"recipe.yaml": "layers: false\n"}).layers


def test_the_matrix(tmp_path: Path) -> None:
    recipe = recipe_tree.recipe(tmp_path, {"recipe.yaml": MATRIX})
    variants = {variant.name: variant for variant in recipe.variants}
    assert list(variants) == ["gcc-12-zen3", "gcc-12-any", "oneapi-any", "aocc-zen3"]
    zen3, intel, aocc = variants["gcc-12-zen3"], variants["oneapi-any"], variants["aocc-zen3"]
    assert zen3.substitutions["_COMPILER"] == "gcc@12"
    assert zen3.substitutions["_IMAGE_FAMILY"] == "app-gcc-12-zen3"
    assert zen3.substitutions["_SOURCE_IMAGE_FAMILY"] == "base-zen3"
    assert zen3.cluster is not None
    assert [partition.name for partition in zen3.cluster.partitions] == ["debug"]
    assert (zen3.references, zen3.owners) == ({"app/smoke": {"speed": 3}}, ("another",))
    assert (intel.substitutions["_IMAGE_FAMILY"], intel.owners) == ("app-intel", ("someone",))
    assert (aocc.substitutions["_COMPILER"], aocc.substitutions["_TARGET_ARCH"]) == ("aocc@4", "zen3")
    assert (recipe.description, recipe.owners) == ("an application", ("someone",))
    assert recipe.suite is not None
    assert (recipe.suite.cluster.login_nodes, recipe.suite.cluster.partitions[1].nodes) == (0, 4)


def test_the_memory_grows_by_what_is_new_and_is_written_anew_when_it_is_old(tmp_path: Path) -> None:
    file = tmp_path / "memory"
    memory = PackageCache(file, "code")
    for number in range(10):
        memory.put(key(number), b"x%d" % number)
    memory.write()
    memory = PackageCache(file, "code")
    assert [memory.get(key(number)) for number in range(9)] == [b"x%d" % number for number in range(9)]
    memory.put(key(10), b"new")
    before = file.read_bytes()
    memory.write()
    assert file.read_bytes().startswith(before)  # one of eleven is old
    memory = PackageCache(file, "code")
    assert memory.get(key(10)) == b"new"
    memory.write()
    assert len(file.read_bytes().splitlines()) == 2
    assert PackageCache(file, "code").get(key(10)) == b"new"
    assert PackageCache(file, "other code").get(key(10)) is None


def test_memories_of_trees_that_are_long_gone_are_swept(tmp_path: Path) -> None:
    ages = {"recipes-gone": 91, "recipes-there": 89, "plan-gone": 91, "accelerator.json": 91}
    for name, days in ages.items():
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (time.time() - days * 86400,) * 2)
    memory = PackageCache(tmp_path / "recipes-new", "code")
    memory.put(key(0), b"new")
    memory.write()
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"recipes-there", "recipes-new", "plan-gone", "accelerator.json"}


def test_what_other_code_adds_is_not_believed(tmp_path: Path) -> None:
    first = PackageCache(tmp_path / "memory", "old")
    first.put(key(0), b"old")
    first.write()
    late = PackageCache(tmp_path / "memory", "old")
    late.get(key(0))
    late.put(key(1), b"from old code")
    (tmp_path / "memory").unlink()
    new = PackageCache(tmp_path / "memory", "new")
    new.put(key(0), b"new")
    new.write()
    late.write()
    both = PackageCache(tmp_path / "memory", "new")
    assert (both.get(key(0)), both.get(key(1))) == (b"new", None)


def line_of(place: tuple[str, int]) -> str:
    return Path(place[0]).read_text().splitlines()[place[1] - 1]


def key(number: int) -> str:
    return f"{number:064}"


@pytest.mark.parametrize(("file", "said"), [("recipe.yaml", 1), ("cloudbuild.yaml", 1), ("README.md", 0)])
def test_a_folder_that_looks_like_a_package_and_is_none(tmp_path: Path, file: str, said: int) -> None:
    recipe_tree.write(tmp_path)
    recipe_tree.put(tmp_path / "packages/other" / file, "x")
    recipes = recipe_tree.loaded(tmp_path)
    assert [recipe.name for recipe in recipes.recipes] == ["app"]
    expected = [f"not a package: it has {file} but no packer.json and no *.pkr.hcl"] * said
    assert [(problem.severity, problem.message) for problem in recipes.problems] == [("warning", m) for m in expected]


@pytest.mark.parametrize("field", ["nodes", "memory_mb", "disk_size_gb"])
def test_a_whole_number_of_recipe_yaml_may_have_a_point(tmp_path: Path, field: str) -> None:
    content = f"cluster: {{login_nodes: 1.0, partitions: [{{name: debug, {field}: 128.0}}]}}\n"
    suite = recipe_tree.recipe(tmp_path, {"recipe.yaml": content}).suite
    assert suite is not None
    figures = [suite.cluster.login_nodes, getattr(suite.cluster.partitions[0], field)]
    assert [(type(figure), figure) for figure in figures] == [(int, 1), (int, 128)]


@pytest.mark.parametrize("field", ["name", "reservation", "disk_type"])
def test_a_name_of_recipe_yaml_does_not_end_with_a_line_break(tmp_path: Path, field: str) -> None:
    partition = {"name": "debug", field: "debug\n"}
    problems = recipe_tree.spoilt(tmp_path, {"recipe.yaml": json.dumps({"cluster": {"partitions": [partition]}})})
    assert any("does not match" in problem.message for problem in problems)


SECRETS = """
secrets:
  licence: {version: 3, secretManager: hpl, file: ~/hpl.key}
  key: {version: "2030-01", environment: KEY}
"""


def test_the_secrets_of_a_bake_also_from_the_cache(tmp_path: Path) -> None:
    for _ in range(2):
        recipe = recipe_tree.recipe(tmp_path, {"recipe.yaml": SECRETS}, cache=tmp_path / "cache")
        assert recipe.problems == ()
        assert recipe.secrets == {
            "licence": {"version": "3", "secretManager": "hpl", "file": "~/hpl.key"},
            "key": {"version": "2030-01", "environment": "KEY"},
        }
    assert recipe_tree.recipe(tmp_path / "b").secrets == {}
