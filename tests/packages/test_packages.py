"""Every package of the checkout: it loads, plans, tests itself, and its shell is sound."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bakery.host import process
from bakery.lock.model import Lock
from bakery.plan.plan import by_family, draft
from bakery.recipe.load import load
from bakery.recipe.model import Recipe
from bakery.settings import parse
from tests.machines.make_checkout import use_hcl2
from tests.support.root import ROOT

PACKAGES = sorted(folder.name for folder in (ROOT / "packages").iterdir() if (folder / "packer.json").exists())
WITH_SPACK = ("amber", "feots", "gromacs", "openfoam", "paraview", "self", "singularity", "wrf")


@pytest.fixture(scope="module")
def recipes() -> dict[str, Recipe]:
    return {recipe.name: recipe for recipe in load(ROOT / "packages", ROOT / "common").recipes}


def test_the_whole_set_is_there() -> None:
    expected = {
        "rcc-debian",
        "rcc-debian-slurm-gcp-6",
        "rcc-ubuntu",
        "rcc-centos",
        "hpcc",
        "lustre",
        "fluid-run",
        *WITH_SPACK,
    }
    assert set(PACKAGES) == expected


def test_nothing_is_wrong_with_any() -> None:
    assert [str(problem) for problem in load(ROOT / "packages", ROOT / "common").problems] == []


@pytest.mark.parametrize("name", PACKAGES)
def test_a_smoke_test_and_a_benchmark(name: str, recipes: dict[str, Recipe]) -> None:
    suite = recipes[name].suite
    assert suite is not None and len(suite.jobs) >= 2
    assert any(job.metrics for job in suite.jobs)
    for job in suite.jobs:
        assert (ROOT / job.execution_command.split()[0]).stat().st_mode & 0o111, job.execution_command


@pytest.mark.parametrize("name", PACKAGES)
def test_no_image_is_overwritten_and_no_machine_is_open(name: str, recipes: dict[str, Recipe]) -> None:
    template = recipes[name].template
    (builder,) = template["builders"]
    assert builder["omit_external_ip"] and builder["use_internal_ip"] and builder["use_iap"]
    assert not any(scope.endswith("/cloud-platform") for scope in builder["scopes"])
    text = (ROOT / "packages" / name / "cloudbuild.yaml").read_text(encoding="utf-8")
    assert "-force" not in text and "latest" not in text


@pytest.mark.parametrize("name", PACKAGES)
def test_the_arguments_are_the_templates_variables(name: str, recipes: dict[str, Recipe]) -> None:
    steps = recipes[name].build["steps"]
    words = [word for step in steps if "-var" in step["args"] for word in step["args"]]
    passed = {word.partition("=")[0] for word, before in zip(words[1:], words, strict=False) if before == "-var"}
    declared = set(recipes[name].template["variables"])
    assert passed <= declared
    from_settings = {variable for variable in declared if variable.startswith("spack_")}
    assert declared - passed - from_settings == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_spack_environments_only_where_they_belong(name: str) -> None:
    assert (ROOT / "packages" / name / "env" / "spack.yaml").exists() == (name in WITH_SPACK)


def test_the_hcl2_template_of_the_machine_tests_says_the_same(tmp_path: Path) -> None:
    for name in ("packages", "common"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    use_hcl2(tmp_path / "packages/hpcc")
    settings = parse({"oven": "fake"}, "test", tmp_path)
    trees = [load(root / "packages", root / "common") for root in (ROOT, tmp_path)]
    as_json, as_hcl2 = (by_family(draft(settings, tree, Lock(), locked=False))["hpcc"] for tree in trees)
    assert as_hcl2.template["hcl2"]
    assert (as_hcl2.inputs, as_hcl2.digest) == (as_json.inputs, as_json.digest)
    assert [str(problem) for problem in trees[1].problems] == []


def test_openfoam_is_a_matrix(recipes: dict[str, Recipe]) -> None:
    families = {variant.substitutions["_IMAGE_FAMILY"] for variant in recipes["openfoam"].variants}
    assert families == {f"openfoam-{c}-{t}" for c in ("gcc", "intel") for t in ("zen3", "cascadelake")}


def scripts() -> list[Path]:
    files = [file for top in ("packages", "common") for file in (ROOT / top).rglob("*.sh")]
    return sorted([*files, ROOT / "common/rcc/root/usr/local/sbin/rcc-wait"])


def test_shellcheck_has_nothing_to_say() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    assert process.output(["shellcheck", *map(str, scripts())]) == ""


@pytest.mark.parametrize("script", scripts(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_script_ends_at_its_first_error(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/bin/bash")
    assert "\nset -euo pipefail\n" in text or "\nset -Eeuo pipefail\n" in text
