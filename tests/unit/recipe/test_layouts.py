"""Trees as people lay them out: packages at any depth, shared files anywhere, files of other packages."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bakery.errors import Severity
from bakery.host.revision import path_in
from bakery.lock.model import Lock
from bakery.plan.model import Plan
from bakery.plan.plan import by_family, draft
from bakery.plan.trigger_paths import watched
from bakery.recipe.load import load
from bakery.recipe.model import Recipe, Recipes
from bakery.recipe.stage import stage
from bakery.settings import Settings, parse
from tests.support import recipe_tree

SCRIPT = "#!/bin/bash\necho other\n"


def template(*scripts: str, family: str = "app") -> str:
    """A template without pkg_path and common_path, which runs these scripts."""
    builder = {"type": "googlecompute", "source_image_family": "debian-12", "image_family": family}
    steps = [{"type": "shell", "script": script} for script in scripts]
    return json.dumps({"builders": [builder], "provisioners": steps}, indent=1)


def write(root: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        recipe_tree.put(root / path, content)


def settings(root: Path, **values: Any) -> Settings:
    google = {"project": "p", "region": "us-central1"}
    return parse({"oven": "cloud-build", "google": google, **values}, "gcp", root)


def planned(root: Path, recipes: Recipes, **values: Any) -> Plan:
    return draft(settings(root, **values), recipes, Lock(), locked=False)


def errors(recipes: Recipes) -> list[str]:
    return [str(problem) for problem in recipes.problems if problem.severity is Severity.ERROR]


def only(recipes: Recipes) -> Recipe:
    assert errors(recipes) == []
    (recipe,) = recipes.recipes
    return recipe


def test_packages_at_any_depth_are_named_after_their_own_folder(tmp_path: Path) -> None:
    for folder in ("flat", "cfd/solver", "cfd/tools/mesher"):
        name = folder.rpartition("/")[2]
        files = {"packer.json": template(f"packages/{folder}/install.sh", family=name), "install.sh": SCRIPT}
        write(tmp_path / "packages" / folder, files)
    recipes = load(tmp_path / "packages", tmp_path / "common")
    assert errors(recipes) == []
    assert [(recipe.name, recipe.workspace_path) for recipe in recipes.recipes] == [
        ("flat", "packages/flat"),
        ("mesher", "packages/cfd/tools/mesher"),
        ("solver", "packages/cfd/solver"),
    ]
    images = by_family(planned(tmp_path, recipes))
    assert [file.path for file in images["mesher"].files] == ["packages/cfd/tools/mesher/install.sh"]
    assert images["mesher"].template_path == "packages/cfd/tools/mesher/packer.json"
    globs = watched(images["mesher"], images, settings(tmp_path), partial(path_in, tmp_path))
    assert {"packages/cfd/tools/mesher/packer.json", "packages/cfd/tools/mesher/install.sh"} <= set(globs)
    assert [path for path in globs if path.startswith("packages/") and "mesher" not in path] == []


def test_a_package_holds_no_packages_and_hidden_folders_and_common_are_not_searched(tmp_path: Path) -> None:
    write(
        tmp_path / "packages",
        {
            "app/packer.json": template("packages/app/install.sh"),
            "app/install.sh": SCRIPT,
            "app/examples/small/packer.json": template(family="small"),
            "group/.cache/old/packer.json": template(family="old"),
            "shared/common/image/packer.json": template(family="image"),
        },
    )
    assert only(load(tmp_path / "packages", tmp_path / "packages/shared/common")).name == "app"


def test_a_package_at_the_top_keeps_its_name_and_other_names_are_unique(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    write(packages, {"app/packer.json": template(), "examples/app/packer.json": template(family="example")})
    recipes = load(packages, tmp_path / "common")
    assert only(recipes).folder == packages / "app"
    (said,) = [problem for problem in recipes.problems if "same name" in problem.message]
    assert (said.severity, said.file) == (Severity.WARNING, str(packages / "examples/app"))
    shutil.rmtree(packages / "app")
    write(packages, {"other/app/packer.json": template(family="other")})
    recipes = load(packages, tmp_path / "common")
    assert [recipe.folder for recipe in recipes.recipes] == [packages / "examples/app"]
    (message,) = errors(recipes)
    assert message.startswith(f"{packages}/other/app:1: error: is left out: {packages}/examples/app is a package")


@pytest.mark.parametrize(("chosen", "severity"), [("good", Severity.WARNING), ("bad", Severity.ERROR)])
def test_an_error_of_a_nested_package_stops_only_those_who_select_it(
    tmp_path: Path, chosen: str, severity: Severity
) -> None:
    for name, script in (("good", "install.sh"), ("bad", "gone.sh")):
        files = {"packer.json": template(f"packages/{name}s/{name}/{script}", family=name), "install.sh": SCRIPT}
        write(tmp_path / "packages" / f"{name}s" / name, files)
    plan = planned(tmp_path, load(tmp_path / "packages", tmp_path / "common"), select=[chosen])
    (said,) = [problem for problem in plan.problems if "gone.sh" in problem.message]
    assert said.severity is severity


def test_a_folder_among_packages_that_only_lacks_a_template_is_a_warning(tmp_path: Path) -> None:
    write(
        tmp_path / "packages",
        {
            "cfd/app/packer.json": template(),
            "cfd/wrf/cloudbuild.yaml": "steps: []\n",
            "docs/deep/cloudbuild.yaml": "steps: []\n",
        },
    )
    problems = load(tmp_path / "packages", tmp_path / "common").problems
    assert [p.file for p in problems if "not a package" in p.message] == [str(tmp_path / "packages/cfd/wrf")]


@pytest.mark.parametrize("folder", ["common", "packages/common", "infra/images/shared"])
def test_shared_files_anywhere_are_found_by_their_path_from_the_checkout(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {f"{folder}/setup.sh": SCRIPT, "packages/app/packer.json": template(f"{folder}/setup.sh")})
    recipes = load(tmp_path / "packages", tmp_path / folder)
    assert only(recipes).common_path == folder
    plan = planned(tmp_path, recipes, common=folder)
    assert [file.path for file in plan.images[0].files] == [f"{folder}/setup.sh"]
    assert f"{folder}/setup.sh" in watched(
        plan.images[0], {}, settings(tmp_path, common=folder), partial(path_in, tmp_path)
    )


def test_shared_files_are_at_common_unless_the_template_says_otherwise(tmp_path: Path) -> None:
    write(tmp_path, {"infra/shared/setup.sh": SCRIPT, "packages/app/packer.json": template("common/setup.sh")})
    assert only(load(tmp_path / "packages", tmp_path / "infra/shared")).common_path == "common"
    write(tmp_path, {"packages/app/packer.json": template("shared/setup.sh")})
    cache = tmp_path / "cache"
    assert only(load(tmp_path / "packages", tmp_path / "infra/shared", cache=cache)).common_path == "shared"
    (tmp_path / "infra/shared").rename(tmp_path / "moved")
    assert "shared/setup.sh' does not exist" in errors(load(tmp_path / "packages", tmp_path / "moved", cache=cache))[0]


def borrowing(root: Path, *paths: str) -> None:
    """A package that names these paths outside of its folder, beside packages base and lib/tools."""
    write(
        root / "packages",
        {
            "app/packer.json": template("packages/app/install.sh", *paths),
            "app/install.sh": SCRIPT,
            "base/packer.json": template("packages/base/install.sh", family="base"),
            "base/install.sh": SCRIPT,
            "lib/tools/one.sh": SCRIPT,
            "lib/tools/two.sh": SCRIPT,
        },
    )


def digest_of_app(root: Path) -> tuple[str, list[str]]:
    """Digest and files of the package's image, from a cache that earlier calls filled."""
    recipes = load(root / "packages", root / "common", cache=root / "cache")
    assert errors(recipes) == []
    image = by_family(planned(root, recipes))["app"]
    return image.digest, [file.path for file in image.files]


def test_another_packages_script_is_staged_and_counts(tmp_path: Path) -> None:
    borrowing(tmp_path, "packages/base/install.sh", "packages/lib/tools/one.sh")
    first, files = digest_of_app(tmp_path)
    assert files == ["packages/app/install.sh", "packages/base/install.sh", "packages/lib/tools/one.sh"]
    (tmp_path / "packages/lib/tools/two.sh").write_text("changed")
    assert digest_of_app(tmp_path)[0] == first
    (tmp_path / "packages/base/install.sh").write_text("changed")
    second, _ = digest_of_app(tmp_path)
    assert second != first
    (tmp_path / "packages/lib/tools/one.sh").chmod(0o755)
    assert digest_of_app(tmp_path)[0] not in (first, second)
    image = by_family(planned(tmp_path, load(tmp_path / "packages", tmp_path / "common")))["app"]
    stage(image.files, tmp_path / "workspace")
    assert (tmp_path / "workspace/packages/base/install.sh").read_text() == "changed"
    assert {"packages/base/install.sh", "packages/app/packer.json"} <= set(
        watched(image, {}, settings(tmp_path), partial(path_in, tmp_path))
    )


def test_of_another_packages_folder_all_files_count(tmp_path: Path) -> None:
    borrowing(tmp_path)
    upload = {"type": "file", "source": "packages/lib/tools", "destination": "/tmp/"}
    written = json.loads((tmp_path / "packages/app/packer.json").read_text())
    (tmp_path / "packages/app/packer.json").write_text(json.dumps({**written, "provisioners": [upload]}))
    first, files = digest_of_app(tmp_path)
    assert files == ["packages/lib/tools/one.sh", "packages/lib/tools/two.sh"]
    write(tmp_path, {"packages/lib/tools/three.sh": SCRIPT})
    second, files = digest_of_app(tmp_path)
    assert len(files) == 3
    assert second != first


def test_a_script_that_goes_and_comes_back_is_never_remembered_as_it_was(tmp_path: Path) -> None:
    borrowing(tmp_path, "packages/lib/tools/one.sh")
    first, _ = digest_of_app(tmp_path)
    (tmp_path / "packages/lib/tools/one.sh").unlink()
    for _ in range(2):
        (message,) = errors(load(tmp_path / "packages", tmp_path / "common", cache=tmp_path / "cache"))
        assert "'packages/lib/tools/one.sh' does not exist" in message
    write(tmp_path, {"packages/lib/tools/one.sh": SCRIPT})
    assert digest_of_app(tmp_path)[0] == first


def test_where_packages_are_at_the_top_any_file_of_the_checkout_can_be_named(tmp_path: Path) -> None:
    write(tmp_path, {"app/packer.json": template("scripts/one.sh"), "scripts/one.sh": SCRIPT, "common/x": ""})
    assert [file.path for file in only(load(tmp_path, tmp_path / "common")).other_files] == ["scripts/one.sh"]


@pytest.mark.parametrize(
    "path", ["packages/../secret", "../secret", "scripts/one.sh", "packages/.git/config", ".", "packages/nothing"]
)
def test_what_is_not_below_the_packages_is_an_error(tmp_path: Path, path: str) -> None:
    borrowing(tmp_path, path)
    write(tmp_path, {"secret": "s", "scripts/one.sh": SCRIPT, "packages/.git/config": "c"})
    (message,) = errors(load(tmp_path / "packages", tmp_path / "common"))
    assert "does not exist" in message


def test_a_link_out_of_the_tree_is_an_error_there_too(tmp_path: Path) -> None:
    borrowing(tmp_path, "packages/lib/tools/three.sh")
    recipe_tree.put(tmp_path / "secret", "s")
    (tmp_path / "packages/lib/tools/three.sh").symlink_to(tmp_path / "secret")
    found = errors(load(tmp_path / "packages", tmp_path / "common"))
    assert [text for text in found if "lib/tools/three.sh:1: error: links out of the tree" in text] != []


def test_a_test_may_run_another_packages_script(tmp_path: Path) -> None:
    borrowing(tmp_path)
    suite = recipe_tree.SUITE.replace("packages/app/test/run.sh", "packages/lib/tools/one.sh")
    write(tmp_path, {"packages/app/fluidrun.yaml": suite})
    plan = planned(tmp_path, load(tmp_path / "packages", tmp_path / "common"))
    tests = by_family(plan)["app"].tests
    assert tests is not None
    assert [file.path for file in tests.files] == ["packages/lib/tools/one.sh"]


def test_a_template_of_another_name_is_said_where_there_is_no_package(tmp_path: Path) -> None:
    write(tmp_path / "packages", {"image/mine.json": template(), "image/gce_variables.json": "{}", ".x/old.json": "{"})
    problems = load(tmp_path / "packages", tmp_path / "common").problems
    (said,) = [problem for problem in problems if "not read" in problem.message]
    assert (said.severity, said.file) == (Severity.WARNING, str(tmp_path / "packages/image/mine.json"))
    write(tmp_path / "packages", {"app/packer.json": template()})
    problems = load(tmp_path / "packages", tmp_path / "common").problems
    assert [problem for problem in problems if "not read" in problem.message] == []


def test_a_path_from_the_templates_folder_is_an_error_that_says_the_path_to_write(tmp_path: Path) -> None:
    borrowing(tmp_path, "install.sh", "../lib/tools/one.sh")
    hints = [p.hint for p in load(tmp_path / "packages", tmp_path / "common").problems if "not exist" in p.message]
    assert hints == [
        "write {{template_dir}}/install.sh: paths start at the workspace, not at the template",
        "write {{template_dir}}/../lib/tools/one.sh: paths start at the workspace, not at the template",
    ]
    borrowing(tmp_path, "{{template_dir}}/install.sh", "{{template_dir}}/../lib/tools/one.sh")
    assert digest_of_app(tmp_path)[1] == ["packages/app/install.sh", "packages/lib/tools/one.sh"]


def test_a_tool_takes_the_whole_folder_of_a_file_elsewhere(tmp_path: Path) -> None:
    borrowing(tmp_path)
    playbook = {"type": "ansible", "playbook_file": "packages/lib/tools/one.sh"}
    written = json.loads((tmp_path / "packages/app/packer.json").read_text())
    (tmp_path / "packages/app/packer.json").write_text(json.dumps({**written, "provisioners": [playbook]}))
    write(tmp_path, {"packages/lib/group_vars/all.yml": "a: 1\n"})
    first, files = digest_of_app(tmp_path)
    assert [path for path in files if "/lib/" in path] == [
        "packages/lib/group_vars/all.yml",
        "packages/lib/tools/one.sh",
        "packages/lib/tools/two.sh",
    ]
    (tmp_path / "packages/lib/group_vars/all.yml").write_text("a: 2\n")
    assert digest_of_app(tmp_path)[0] != first
    image = by_family(planned(tmp_path, load(tmp_path / "packages", tmp_path / "common")))["app"]
    assert "packages/lib/**" in watched(image, {}, settings(tmp_path), partial(path_in, tmp_path))
