"""Who owns a family, by recipe.yaml and by CODEOWNERS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.plan.summary import Taken
from bakery.preview.owners import addresses, file_owners, owners_of, package_folder
from bakery.settings import Settings
from tests.unit.preview.test_decide import CHILD, PARENT, plan_of

APP = plan_of(PARENT, CHILD).images[1]
PATH = "packages/app/recipe"


def test_only_addresses_of_people_and_accounts_are_compared() -> None:
    given = ["cfd-team", "Ann@Example.com", "user:bob@example.com", "group:all@example.com", "@ann", "@org/team"]
    given += ["serviceAccount:bot@p.iam.gserviceaccount.com", "ann@example.com", "domain:example.com", ""]
    assert addresses(given) == ("ann@example.com", "bob@example.com", "bot@p.iam.gserviceaccount.com")


@pytest.mark.parametrize(
    ("text", "owners"),
    [
        ("* a", "a"),
        ("* a\npackages/app/ b c", "b c"),
        ("packages/app/ b\n* a", "a"),
        ("/packages/ a", "a"),
        ("packages a", "a"),
        ("app a", "a"),
        ("app/ a", "a"),
        ("/app a", ""),
        ("packages/* a", ""),
        ("packages/** a", "a"),
        ("packages/*/ a", "a"),
        ("**/app a", "a"),
        ("**/app/** a", "a"),
        ("pack?ges/app a", "a"),
        ("packages/ap a", ""),
        ("*.sh a", ""),
        ("packages/app/install.sh a", ""),
        ("* a # everybody\n# packages/app/ b", "a"),
        ("* a\npackages/app/", ""),
        ("\n   \n* a", "a"),
        ("with\\ space/ a", ""),
        ("[Docs] d\ndocs/ e\n[Images][2] f\npackages/", "f"),
        ("* a\n[Images]\npackages/ b", "a b"),
        ("^[Images] f\npackages/app/ g", "g"),
    ],
)
def test_the_last_pattern_that_fits_names_the_owners(text: str, owners: str) -> None:
    assert " ".join(file_owners(text, PATH)) == owners


def test_an_address_in_the_recipe_counts_more_than_codeowners(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    folder, stack = tmp_path / "packages" / "deep" / "app", make_settings()
    assert owners_of(stack, APP) == ()
    folder.mkdir(parents=True)
    (folder / "packer.json").write_text("{}")
    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "CODEOWNERS").write_text("* @all\n/packages/deep/app/ Ann@example.com @team\n")
    (tmp_path / "CODEOWNERS").write_text("* bob@example.com\n")
    assert package_folder(stack, "app") == folder
    assert owners_of(stack, APP) == ("ann@example.com",), "GitHub reads the first file that there is"
    assert owners_of(stack, replace(APP, owners=("cfd",))) == ("ann@example.com",)
    assert owners_of(stack, replace(APP, owners=("cfd", "cid@example.com"))) == ("cid@example.com",)
    assert owners_of(stack, replace(APP, package="shipped")) == ()


def test_the_packages_may_be_in_a_folder_of_a_larger_repository(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "CODEOWNERS").write_text("/images/packages/ ann@example.com\n")
    folder = tmp_path / "images" / "packages" / "app"
    folder.mkdir(parents=True)
    (folder / "app.pkr.hcl").write_text("")
    stack = replace(make_settings(), root=tmp_path / "images", packages=tmp_path / "images" / "packages")
    assert owners_of(stack, APP) == ("ann@example.com",)


def test_owners_of_recipes_in_a_submodule_are_its_own_or_those_of_the_project(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    folder = tmp_path / "recipes" / "packages" / "app"
    folder.mkdir(parents=True)
    (folder / "packer.json").write_text("{}")
    (tmp_path / ".git").mkdir()
    (tmp_path / "recipes" / ".git").write_text("gitdir: ../.git/modules/recipes\n")
    (tmp_path / "CODEOWNERS").write_text("/recipes/ ann@example.com\n")
    stack = make_settings(packages="recipes/packages")
    assert owners_of(stack, APP) == ("ann@example.com",)
    (tmp_path / "recipes" / "CODEOWNERS").write_text("/packages/ bob@example.com\n")
    assert owners_of(stack, APP) == ("bob@example.com",)


MATRIX = """owners: [ann@example.com]
matrix:
  axes:
    compiler: [gcc, oneapi]
  variants:
  - match: {compiler: oneapi}
    owners: [bob@example.com]
    references: {app/speed: {speed: {reference: 3}}}
"""


def test_a_variant_that_is_taken_from_another_stack_has_its_own_owners(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    folder, stack = tmp_path / "packages" / "app", make_settings()
    folder.mkdir(parents=True)
    (folder / "packer.json").write_text("{}")
    (folder / "recipe.yaml").write_text(MATRIX)
    taken = replace(APP, taken=Taken("dev", "app-1", {}, "from dev"), owners=())
    owners = {variant: owners_of(stack, replace(taken, variant=variant)) for variant in ("gcc", "oneapi", "gone")}
    assert owners == {"gcc": ("ann@example.com",), "oneapi": ("bob@example.com",), "gone": ("ann@example.com",)}
