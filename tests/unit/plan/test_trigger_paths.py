"""What a trigger watches: all that the digest depends on, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from bakery.host.revision import path_in
from bakery.lock import file as lock_file
from bakery.plan.model import ImagePlan
from bakery.plan.plan import by_family, draft, make
from bakery.plan.trigger_paths import DECIDING, previewed, watched
from bakery.recipe.load import load
from bakery.recipe.model import Recipe
from bakery.settings import Settings, from_file
from tests.support.every import every
from tests.support.plan_builders import LOCK, file, recipe, recipes, settings, template
from tests.support.root import ROOT

ALWAYS = {"Pulumi.dev.yaml", "bakery.lock"}
CHECKOUT = partial(path_in, Path("/checkout"))


def globs(family: str, *given: Recipe) -> set[str]:
    planned = by_family(make(settings(), recipes(*given), LOCK))
    return set(watched(planned[family], planned, settings(), CHECKOUT)) - ALWAYS


def matches(path: str, patterns: tuple[str, ...] | set[str]) -> bool:
    return any(path.startswith(one.removesuffix("**")) if one.endswith("/**") else path == one for one in patterns)


def test_files_that_reach_the_image_and_what_decides_how() -> None:
    assert globs("app", recipe()) == {
        *(f"packages/app/{name}" for name in ("packer.json", "cloudbuild.yaml", "recipe.yaml", "install.sh")),
        "packages/app/share/**",
    }


def test_a_new_file_in_a_folder_that_is_handed_over_counts_and_tests_and_readmes_do_not() -> None:
    found = globs("app", recipe())
    assert matches("packages/app/share/new/file", found)
    assert not matches("packages/app/test/run.sh", found)
    assert not matches("packages/app/fluidrun.yaml", found)
    assert not matches("packages/app/README.md", found)


def test_of_common_only_what_the_recipe_takes() -> None:
    takes = template()
    takes["provisioners"] = [{"type": "file", "source": "common/etc", "destination": "/tmp/"}]
    other = template()
    other["provisioners"] = [{"type": "shell", "script": "common/spack-install.sh"}]
    given = (recipe("one", template=takes), recipe("two", template=other))
    assert matches("common/etc/limits.conf", globs("one", *given))
    assert not matches("common/spack-install.sh", globs("one", *given))
    assert matches("common/spack-install.sh", globs("two", *given))
    assert not matches("common/etc/sysctl.conf", globs("two", *given))


def test_a_parents_files_count_and_a_childs_do_not() -> None:
    given = (recipe("base"), recipe("app", parent="base"))
    assert matches("packages/base/install.sh", globs("app", *given))
    assert not matches("packages/app/install.sh", globs("base", *given))


def test_a_step_on_the_machine_that_bakes_may_use_any_file_of_the_package() -> None:
    given = template()
    given["provisioners"] = [*given["provisioners"], {"type": "shell-local", "inline": ["true"]}]
    assert matches("packages/app/a/new/file", globs("app", recipe(template=given)))
    assert not matches("packages/app/a/new/file", globs("app", recipe()))


def test_paths_are_the_repositorys_not_those_of_the_workspace() -> None:
    staged = recipe(substitutions={"_PKG_PATH": "elsewhere"}, workspace_path="elsewhere")
    files = tuple(
        replace(file(f"elsewhere/{name}"), source=Path("/checkout/packages/app") / name)
        for name in ("install.sh", "share/motd")
    )
    found = globs("app", replace(staged, files=files))
    assert {"packages/app/share/**", "packages/app/install.sh"} <= found
    assert not [path for path in found if path.startswith("elsewhere")]


def test_what_lies_outside_of_the_repository_is_not_watched() -> None:
    away = settings(packages="../elsewhere")
    planned = by_family(make(settings(), recipes(recipe()), LOCK))
    files = tuple(replace(one, source=Path("/elsewhere") / one.path) for one in planned["app"].files)
    image: ImagePlan = replace(planned["app"], files=files, folder=Path("/elsewhere/app"))
    assert watched(image, planned, away, CHECKOUT) == tuple(sorted(ALWAYS))
    assert previewed(away, CHECKOUT) == ("Pulumi.dev.yaml", "bakery.lock", "common/**")
    assert previewed(settings(lock="../bakery.lock"), CHECKOUT) == ("Pulumi.dev.yaml", "common/**", "packages/**")


def test_a_preview_watches_the_trees_the_lock_and_the_settings() -> None:
    assert previewed(settings(), CHECKOUT) == ("Pulumi.dev.yaml", "bakery.lock", "common/**", "packages/**")


@pytest.fixture(scope="module")
def own() -> tuple[Settings, dict[str, ImagePlan]]:
    """The checkout's own packages."""
    stack = replace(from_file(ROOT, "gcp"), select=())
    found = load(stack.packages, stack.common)
    return stack, dict(by_family(draft(stack, found, lock_file.read(stack.lock), locked=False)))


def test_every_file_of_the_checkouts_own_images_is_watched(own: tuple[Settings, dict[str, ImagePlan]]) -> None:
    stack, images = own
    assert len(images) > 10
    for image in images.values():
        patterns = watched(image, images, stack, partial(path_in, stack.root))
        line = [image]
        while not line[-1].base.external:
            line.append(images[line[-1].base.family])
        for one in line:
            missed = [file.path for file in one.files if not matches(file.path, patterns)]
            assert missed == [], image.family
            assert every(f"packages/{one.package}/{name}" in patterns for name in DECIDING)
        strangers = [path for path in patterns if path.startswith("packages/")]
        assert {path.split("/")[1] for path in strangers} == {one.package for one in line}
        assert not matches(f"packages/{image.package}/fluidrun.yaml", patterns)


def test_of_an_hcl2_template_all_its_files_and_those_that_functions_read() -> None:
    given = {**template(), "hcl2": {"types": {}, "read": ["text/motd"]}}
    found = globs("app", recipe(template=given))
    assert {"packages/app/*.pkr.hcl", "packages/app/*.pkrvars.json", "packages/app/text/motd"} <= found
    assert "packages/app/packer.json" not in found
