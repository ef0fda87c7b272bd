from __future__ import annotations

from typing import Any

import pytest

from bakery.errors import InputError, Problem, Severity
from bakery.lock.model import Lock, LockedBase
from bakery.orders.model import bake_order
from bakery.plan.plan import draft, make
from bakery.recipe.model import Recipe, Recipes, Variant
from bakery.settings import Place
from tests.support.plan_builders import BASE, LOCK, recipe, recipes, settings


def plan_of(*given: Recipe, **values: Any) -> Any:
    return make(settings(**values), recipes(*given), LOCK)


def test_parent_stands_before_child_whatever_the_names_are() -> None:
    plan = plan_of(recipe("a", "z"), recipe("m", "a"), recipe("z"))
    assert [image.family for image in plan.images] == ["z", "a", "m"]
    z, a, m = plan.images
    assert (a.base.name, a.base.digest, a.base.external) == (z.name, z.digest, False)
    assert m.base.name == a.name
    assert (z.base.name, z.base.digest, z.base.project) == (BASE.name, BASE.identity, "debian-cloud")


def test_name_is_family_and_twelve_characters() -> None:
    (image,) = plan_of(recipe()).images
    assert image.name == f"app-{image.digest[:12]}"
    assert image.variables["image_name"] == image.name
    assert image.substitutions["_IMAGE_NAME"] == image.name


def test_the_builder_makes_exactly_this_image_from_exactly_that_one() -> None:
    parent, child = plan_of(recipe("base"), recipe("app", "base")).images
    (builder,) = child.template["builders"]
    assert (builder["image_name"], builder["source_image"]) == (child.name, parent.name)
    assert "image_family" not in builder, "a candidate joins no family before its tests"
    assert "source_image_project_id" not in builder
    assert builder["image_labels"]["bakery-digest"] == child.digest[:32]


def test_select_takes_ancestors_along_and_nothing_else() -> None:
    plan = plan_of(recipe("base"), recipe("app", "base"), recipe("other", "base"), select=["app"])
    assert [image.family for image in plan.images] == ["base", "app"]


def test_select_of_an_unknown_package_names_the_known() -> None:
    with pytest.raises(InputError, match=r"Pulumi.dev.yaml:1: error: .* unknown package nope; use one of: app"):
        plan_of(recipe(), select=["nope"])


def test_a_package_that_is_not_selected_stops_nobody() -> None:
    broken = Problem("packages/other/packer.json", 3, "is no JSON", "correct it")
    given = Recipes((recipe("app"),), (broken,))
    plan = make(settings(select=["app"]), given, LOCK)
    assert [problem.severity for problem in plan.problems] == [Severity.WARNING]
    with pytest.raises(InputError, match="is no JSON"):
        make(settings(), given, LOCK)
    with pytest.raises(InputError, match="is no JSON"):
        make(settings(select=["app", "other"]), given, LOCK)


@pytest.mark.parametrize(("folder", "file"), [(".", "other/packer.json"), ("../my packages", "../my packages/other/x")])
def test_whose_a_problem_is_does_not_depend_on_where_the_user_stands(folder: str, file: str) -> None:
    given = Recipes((recipe("app"),), (Problem(file, 3, "is no JSON", "correct it"),), folder=folder)
    assert [found.severity for found in make(settings(select=["app"]), given, LOCK).problems] == [Severity.WARNING]


def test_what_is_wrong_with_common_stops_every_package() -> None:
    given = Recipes((recipe("app"),), (Problem("common/etc", 1, "is a link out of the tree", "copy it"),), folder=".")
    beside = settings(select=["app"], packages=".", common="common")
    with pytest.raises(InputError, match="link out of the tree"):
        make(beside, given, LOCK)


def test_every_problem_at_once() -> None:
    given = (recipe("a", "b"), recipe("b", "a"), recipe("c", "debian-99"), recipe("A_b", substitutions={}))
    with pytest.raises(InputError) as caught:
        plan_of(*given)
    messages = [problem.message for problem in caught.value.problems]
    assert "these images are baked from each other: a -> b -> a" in messages
    assert "base image debian-cloud/debian-99 is not in the lock file" in messages
    assert "A_b: invalid Compute Engine name 'A_b' of a family" in messages
    assert len(messages) == 3


def test_warnings_stand_beside_the_error_that_stops_the_plan() -> None:
    found = (
        Problem("packages/app/packer.json", 3, "is no JSON", "correct it"),
        Problem("packages/app/fluidrun.yaml", 2, "stands twice", "keep one", Severity.WARNING),
    )
    with pytest.raises(InputError) as caught:
        make(settings(), Recipes((recipe("app"),), found), LOCK)
    assert set(caught.value.problems) == set(found)


def test_a_missing_lock_entry_says_where_and_what_to_run() -> None:
    with pytest.raises(InputError, match=r"packages/app/cloudbuild.yaml:30: error: .*; run: bakery lock"):
        make(settings(), recipes(recipe()), Lock())


def test_a_draft_goes_on_without_lock() -> None:
    plan = draft(settings(), recipes(recipe()), Lock(), locked=False)
    assert plan.images[0].base.digest == "unlocked:debian-cloud/debian-12"
    assert [problem.severity for problem in plan.problems] == [Severity.WARNING]


def test_variants_have_families_parents_and_variables_of_their_own() -> None:
    variants = (
        Variant("gcc-zen3", {"_COMPILER": "gcc@12"}),
        Variant("Intel@zen3", {"_COMPILER": "intel", "_SOURCE_IMAGE_FAMILY": "other"}),
        Variant("own", {"_IMAGE_FAMILY": "own-family"}),
    )
    plan = plan_of(recipe("app", "base", variants=variants), recipe("base"), recipe("other"))
    found = {image.family: image for image in plan.images if image.package == "app"}
    assert set(found) == {"app-gcc-zen3", "app-intel-zen3", "own-family"}
    assert found["app-intel-zen3"].base.family == "other"
    assert found["app-intel-zen3"].variables["compiler"] == "intel"
    assert found["app-gcc-zen3"].labels["bakery-variant"] == "gcc-zen3"
    assert len({image.name for image in plan.images}) == 5


def test_a_plan_does_not_depend_on_the_order_of_recipes() -> None:
    given = [recipe("a", "z"), recipe("m", "a"), recipe("z")]
    one, other = plan_of(*given), plan_of(*reversed(given))
    assert {image.name for image in one.images} == {image.name for image in other.images}


def test_only_what_reaches_the_image_is_staged() -> None:
    (image,) = plan_of(recipe()).images
    assert [file.path for file in image.files] == ["packages/app/install.sh", "packages/app/share/motd"]
    assert image.tests is not None
    assert [file.path for file in image.tests.files] == ["packages/app/test/run.sh"]


def test_a_plan_without_images_is_refused() -> None:
    """An up with it would give up all families of the stack."""
    with pytest.raises(InputError, match="packages:1: error: no package is left to bake; add a package"):
        plan_of()


def test_a_recipe_without_layers_has_the_same_digest() -> None:
    plain, without = (plan_of(recipe(layers=layers)).images[0] for layers in (True, False))
    assert (bake_order(plain).layers, bake_order(without).layers) == (True, False)
    assert plain.digest == without.digest


def test_where_an_image_is_baked_reaches_the_order_and_not_the_digest() -> None:
    plain, fixed = (plan_of(recipe(isolation=way)).images[0] for way in ("", "machine"))
    assert (bake_order(plain).isolation, bake_order(fixed).isolation) == ("", "machine")
    assert plain.digest == fixed.digest


def test_a_base_that_is_locked_as_another_kind_than_the_settings_name_is_not_locked() -> None:
    own = settings(local={"bases": {"debian-cloud/debian-12": {"image": "debian-12"}}})
    with pytest.raises(InputError, match=r"debian-cloud/debian-12 is locked as another one than local\.bases names"):
        make(own, recipes(recipe("a")), LOCK)
    cloud = Lock({Place.LOCAL: {"debian-cloud/debian-12": LockedBase("d-1", "sha256:1", origin="https://x/y")}})
    (image,) = make(own, recipes(recipe("a")), cloud).images
    assert (image.base.name, image.base.digest, image.base.origin) == ("d-1", "sha256:1", "https://x/y")


def test_a_prefix_is_in_families_and_names_and_not_in_digests() -> None:
    given = (recipe("base"), recipe("app", "base"))
    plain, prefixed = (plan_of(*given, google=google).images for google in ({}, {"prefix": "dev"}))
    assert [image.family for image in prefixed] == ["dev-base", "dev-app"]
    assert [image.digest for image in prefixed] == [image.digest for image in plain]
    assert prefixed[1].base.name == prefixed[0].name == f"dev-base-{plain[0].digest[:12]}"
    assert prefixed[1].variables["image_family"] == "dev-app"
    assert prefixed[0].labels["bakery-prefix"] == "dev"
    assert prefixed[0].base == plain[0].base, "a base of another project has no prefix"
    selected = plan_of(*given, google={"prefix": "dev"}, select=["app"]).images
    assert [image.family for image in selected] == ["dev-base", "dev-app"]
