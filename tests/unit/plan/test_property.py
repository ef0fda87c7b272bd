"""Any edit of any file rebakes exactly the images it reaches: random graphs, random edits, an independent oracle.

The oracle knows nothing of templates and digests. The generator writes down, while it makes a recipe, which files it
hands to the image and which image it starts from; the oracle walks that.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bakery.plan.model import Plan
from bakery.plan.plan import make
from bakery.recipe.model import Recipe, SourceFile, Variant
from tests.support.plan_builders import LOCK, file, recipe, recipes, settings, template

COMMON = tuple(file(f"common/{name}") for name in ("etc/a", "etc/b/c", "setup.sh", "unused.sh"))


@dataclass(frozen=True)
class World:
    """Recipes with the truth about them: family to the paths that reach it, and family to its parent's family."""

    recipes: tuple[Recipe, ...]
    reach: dict[str, frozenset[str]]
    parents: dict[str, str]

    def touched(self, path: str) -> set[str]:
        """The families that an edit of the file rebakes."""
        hit = {family for family, paths in self.reach.items() if path in paths}
        grown = True
        while grown:
            more = {family for family, parent in self.parents.items() if parent in hit} - hit
            hit |= more
            grown = bool(more)
        return hit


@st.composite
def worlds(draw: st.DrawFn) -> World:
    made: list[Recipe] = []
    reach: dict[str, frozenset[str]] = {}
    parents: dict[str, str] = {}
    for index in range(draw(st.integers(1, 7))):
        name = f"r{index}"
        folder = f"packages/{name}"
        names = ("a.sh", "share/x", "share/deep/y", "sharetoo", "README.md", "test/run.sh", "env/spack.yaml")
        files = tuple(file(f"{folder}/{entry}") for entry in names)
        sources = draw(
            st.sets(
                st.sampled_from(
                    ["a.sh", "share", "share/deep", "env/spack.yaml", "README.md", "common/etc", "common/setup.sh"]
                )
            )
        )
        used: set[str] = set()
        provisioners = []
        for source in sorted(sources):
            path = source if source.startswith("common/") else f"{folder}/{source}"
            provisioners.append({"type": "file", "source": path, "destination": "/tmp/"})
            everything = [entry.path for entry in (*files, *COMMON)]
            used |= {entry for entry in everything if entry == path or entry[: len(path) + 1] == path + "/"}
        starts = draw(st.sampled_from([*reach, "debian-12"]))
        variants = draw(st.sampled_from([(Variant(),), (Variant("one"), Variant("two"))]))
        for variant in variants:
            family = f"{name}-{variant.name}" if variant.name else name
            reach[family] = frozenset(used)
            if starts != "debian-12":
                parents[family] = starts
        made.append(
            recipe(
                name,
                starts,
                files=files,
                common=COMMON,
                variants=variants,
                template=template(provisioners=provisioners),
            )
        )
    return World(tuple(made), reach, parents)


def plan_of(given: tuple[Recipe, ...]) -> Plan:
    return make(settings(), recipes(*given), LOCK)


def edit(given: tuple[Recipe, ...], path: str, changed: SourceFile | None) -> tuple[Recipe, ...]:
    """The recipes with the file replaced, or taken away, wherever it is seen."""

    def swap(files: tuple[SourceFile, ...]) -> tuple[SourceFile, ...]:
        found = (changed if entry.path == path else entry for entry in files)
        return tuple(entry for entry in found if entry is not None)

    return tuple(replace(one, files=swap(one.files), common=swap(one.common)) for one in given)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.data())
def test_an_edit_rebakes_exactly_what_it_reaches(world: World, data: st.DataObject) -> None:
    everything = sorted({entry.path for one in world.recipes for entry in (*one.files, *one.common)})
    path = data.draw(st.sampled_from(everything))
    old = next(entry for one in world.recipes for entry in (*one.files, *one.common) if entry.path == path)
    how = data.draw(st.sampled_from(["content", "mode", "gone", "touched"]))
    changed = {
        "content": replace(old, sha256="e" * 64),
        "mode": replace(old, mode=0o755),
        "gone": None,
        "touched": replace(old, source=old.source / "elsewhere"),
    }[how]
    before = {image.family: image.digest for image in plan_of(world.recipes).images}
    after = {image.family: image.digest for image in plan_of(edit(world.recipes, path, changed)).images}
    assert before.keys() == after.keys() == world.reach.keys()
    rebaked = {family for family in before if before[family] != after[family]}
    assert rebaked == (set() if how == "touched" else world.touched(path))


@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds(), st.data())
def test_an_edited_provisioner_rebakes_its_recipe_and_what_is_baked_from_it(world: World, data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(world.recipes))
    changed = copy.deepcopy(chosen.template)
    changed["provisioners"].append({"type": "shell", "inline": ["true"]})
    edited = tuple(replace(one, template=changed) if one is chosen else one for one in world.recipes)
    before = {image.family: (image.package, image.digest) for image in plan_of(world.recipes).images}
    after = {image.family: image.digest for image in plan_of(edited).images}
    own = {family for family, (package, _) in before.items() if package == chosen.name}
    marked = World(world.recipes, {f: frozenset({"it"} if f in own else ()) for f in world.reach}, world.parents)
    assert {family for family, (_, digest) in before.items() if digest != after[family]} == marked.touched("it")


@hypothesis_settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(worlds())
def test_parents_stand_before_children_and_no_name_twice(world: World) -> None:
    plan = plan_of(world.recipes)
    place = {image.family: index for index, image in enumerate(plan.images)}
    assert [family for family, parent in world.parents.items() if place[parent] >= place[family]] == []
    assert len({image.name for image in plan.images}) == len(world.reach)
