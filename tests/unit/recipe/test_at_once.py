"""Everything that can be wrong with a tree is reported in one go, each with its file and line."""

from __future__ import annotations

import json
from pathlib import Path

from bakery.errors import Problem, Severity
from bakery.lock.model import Lock
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import recipe_tree
from tests.support.every import every

FOUND = [  # package, a part of the message, a part of the line it points to
    ("ring-a", "baked from each other: ring-a -> ring-b -> ring-a", "_SOURCE_IMAGE_FAMILY: ring-b"),
    ("orphan", "parent nobody of orphan is not the family of a recipe", "_SOURCE_IMAGE_FAMILY: nobody"),
    ("twin", "family first is also made by first", "_IMAGE_FAMILY: first"),
    ("shouting", "invalid Compute Engine name 'SHOUT' of a family", "_IMAGE_FAMILY: SHOUT"),
    ("long", "has 64 characters", "_IMAGE_FAMILY: " + "x" * 64),
    ("base", "invalid Compute Engine name 'a b' of a base image", "_SOURCE_IMAGE_FAMILY: a b"),
    ("script", "script 'packages/script/gone.sh' does not exist", "gone.sh"),
    ("source", "source 'packages/source/gone' does not exist", "gone"),
    ("undefined", "{{user `colour`}} is an undeclared variable", "colour"),
    ("unused", "variable colour is not used", '"colour": "red"'),
    ("placeholder", "nothing fills @TARGET@", "@TARGET@"),
    ("environment", "concretization: is rejected by v1.1.0", "concretization: together"),
    ("partition", "no cluster has partition large", "partition: large"),
    ("link", "links out of the tree", ""),
    ("syntax", "invalid JSON", "{]"),
]


def package(root: Path, name: str, family: str = "", parent: str = "debian-12", **changed: str) -> None:
    """A right package of that name with some of its files changed; ``__`` stands for a dot in their names."""
    build = recipe_tree.build(f"packages/{name}").replace("_IMAGE_FAMILY: app", f"_IMAGE_FAMILY: {family or name}")
    build = build.replace("_SOURCE_IMAGE_FAMILY: debian-12", f"_SOURCE_IMAGE_FAMILY: {parent}")
    if parent != "debian-12":
        build = build.replace("_SOURCE_IMAGE_PROJECT: debian-cloud", "_SOURCE_IMAGE_PROJECT: ''")
    files = {"cloudbuild.yaml": build, "packer.json": template(name), "fluidrun.yaml": suite(name)}
    recipe_tree.write(root, {**files, **{key.replace("__", "."): text for key, text in changed.items()}}, name)


def template(name: str, **more: object) -> str:
    made = recipe_tree.template()
    made["variables"]["pkg_path"] = f"packages/{name}"
    made["provisioners"] += more.pop("provisioners", [])  # type: ignore[operator]
    made["variables"] |= more.pop("variables", {})  # type: ignore[operator]
    return json.dumps({**made, **more}, indent=2)


def suite(name: str) -> str:
    return recipe_tree.SUITE.replace("packages/app", f"packages/{name}")


def broken(root: Path) -> None:
    package(root, "ring-a", parent="ring-b")
    package(root, "ring-b", parent="ring-a")
    package(root, "orphan", parent="nobody")
    package(root, "first")
    package(root, "twin", family="first")
    package(root, "shouting", family="SHOUT")
    package(root, "long", family="x" * 64)
    package(root, "base", parent="a b")
    for name, entry in (
        ("script", {"script": "packages/script/gone.sh"}),
        ("source", {"source": "packages/source/gone"}),
    ):
        kind = {"type": "shell" if name == "script" else "file", "destination": "/tmp/", **entry}
        package(root, name, packer__json=template(name, provisioners=[kind]))
    inline = {"type": "shell", "inline": ["echo {{user `colour`}}"]}
    package(root, "undefined", packer__json=template("undefined", provisioners=[inline]))
    package(root, "unused", packer__json=template("unused", variables={"colour": "red"}))
    package(root, "placeholder")
    recipe_tree.put(root / "packages/placeholder/env/spack.yaml", recipe_tree.SPACK.replace("@ARCH@", "@TARGET@"))
    package(root, "environment")
    recipe_tree.put(root / "packages/environment/env/spack.yaml", recipe_tree.SPACK + "  concretization: together\n")
    package(root, "partition", fluidrun__yaml=suite("partition").replace("debug", "large"))
    package(root, "link")
    (root / "packages/link/hosts").symlink_to("/etc/hosts")
    package(root, "syntax", packer__json="{]\n}\n")
    package(root, "on-syntax", parent="syntax")  # its parent's fault, not its own


def test_all_checks_speak_at_once(tmp_path: Path) -> None:
    broken(tmp_path)
    recipes = recipe_tree.loaded(tmp_path, spack_ref="v1.1.0")
    problems = draft(parse({"oven": "fake"}, "test", tmp_path), recipes, Lock(), locked=False).problems
    for name, message, line in FOUND:
        assert any(message in problem.message and line in text(problem) for problem in of(problems, name)), name
    right = {name for name, _, _ in FOUND}
    bad = [Path(problem.file) for problem in problems if problem.severity is Severity.ERROR]
    assert {file.relative_to(tmp_path / "packages").parts[0] for file in bad} <= right
    assert not of(problems, "on-syntax")
    assert every(problem.hint for problem in problems)


def of(problems: tuple[Problem, ...], name: str) -> list[Problem]:
    """The problems of a package, that nothing is locked left out."""
    return [p for p in problems if f"/{name}/" in p.file and "lock file" not in p.message]


def text(problem: Problem) -> str:
    return Path(problem.file).read_text().splitlines()[problem.line - 1]


def test_a_broken_template_does_not_hide_what_is_wrong_beside_it(tmp_path: Path) -> None:
    changed = {
        "packer.json": "{",
        "cloudbuild.yaml": "steps: [",
        "fluidrun.yaml": "tests: 3\n",
        "env/spack.yaml": "x: [",
    }
    files = {Path(problem.file).name for problem in recipe_tree.spoilt(tmp_path, changed)}
    assert files == {"packer.json", "cloudbuild.yaml", "fluidrun.yaml", "spack.yaml"}
