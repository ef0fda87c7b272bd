"""Any edit of any file rebakes exactly the images it reaches: whole trees on disk, planned with a memory that is warm.

Beside :mod:`tests.unit.plan.test_property`, which edits models: here everything is read from files, variants and
substitutions are edited too, and what an earlier plan remembered may never hide an edit. The oracle only knows what the
generator wrote down: which families a package makes, what it hands to the image, and what it starts from.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bakery.errors import Severity
from bakery.lock import file as lock_file
from bakery.preview.plan_report import plan_report
from bakery.settings import parse
from tests.support import recipe_tree
from tests.support.plan_builders import LOCK

COMPILERS = ("gcc", "clang", "intel")


@dataclass
class Package:
    """A package and the truth about it: what it starts from, and the variants that its matrix makes of a compiler."""

    name: str
    parent: str
    compilers: tuple[str, ...]
    hands_share: bool
    hands_common: bool

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(f"{self.name}-{compiler}" for compiler in self.compilers) or (self.name,)

    def build(self) -> dict[str, Any]:
        values = {**recipe_tree.VARIABLES, "pkg_path": f"packages/{self.name}", "image_name": self.name}
        values |= {"image_family": self.name, "source_image_family": self.parent or "debian-12"}
        values |= {"source_image_project": "" if self.parent else "debian-cloud"}
        del values["project_id"]
        arguments = [word for key in values for word in ("-var", f"{key}=${{_{key.upper()}}}")]
        step = {"name": "packer", "args": ["build", *arguments, "${_PKG_PATH}/packer.json"]}
        substitutions = {f"_{key.upper()}": value for key, value in values.items()}
        return {"steps": [step], "substitutions": substitutions, "timeout": "1800s"}

    def template(self) -> dict[str, Any]:
        made = recipe_tree.template()
        share = {"type": "file", "source": "{{user `pkg_path`}}/share", "destination": "/tmp/"}
        common, *others = made["provisioners"]
        made["provisioners"] = [
            *([share] if self.hands_share else []),
            *([common] if self.hands_common else []),
            *others,
        ]
        return made

    def recipe(self) -> dict[str, Any]:
        axis = {compiler: {"_COMPILER": f"{compiler}@12"} for compiler in self.compilers}
        return {"matrix": {"family": f"{self.name}-{{compiler}}", "axes": {"compiler": axis}}} if axis else {}

    def write(self, root: Path) -> None:
        folder = recipe_tree.write(
            root,
            {
                "packer.json": json.dumps(self.template()),
                "cloudbuild.yaml": yaml.safe_dump(self.build()),
                "fluidrun.yaml": recipe_tree.SUITE.replace("packages/app", f"packages/{self.name}"),
                "share/text": "text\n",
                "README.md": "words\n",
                "recipe.yaml": yaml.safe_dump(self.recipe()) if self.compilers else None,
            },
            self.name,
        )
        recipe_tree.put(folder.parents[1] / "common/unused", "nobody wants it\n")


@dataclass(frozen=True)
class Edit:
    """One change of the tree. ``rebaked`` are the families that it changes itself, ``retested`` the same for tests."""

    title: str
    make: Callable[[Path], None]
    rebaked: frozenset[str] = frozenset()
    retested: frozenset[str] = frozenset()


def change(file: str, new: str) -> Callable[[Path], None]:
    return lambda root: recipe_tree.put(root / file, new)


def load(root: Path, file: str, edit: Callable[[Any], None]) -> None:
    """Edit the value of a JSON or YAML file."""
    value = yaml.safe_load((root / file).read_text())
    edit(value)
    recipe_tree.put(root / file, json.dumps(value, indent=3) if file.endswith("json") else yaml.safe_dump(value))


def edits(one: Package, packages: tuple[Package, ...]) -> list[Edit]:
    """What can be done to a package, and whom it reaches."""
    own, folder = frozenset(one.families), f"packages/{one.name}"
    share = own if one.hands_share else frozenset()
    common = frozenset(family for other in packages if other.hands_common for family in other.families)
    default = frozenset() if one.compilers else own  # of the compiler; each variant has its own
    template, build = f"{folder}/packer.json", f"{folder}/cloudbuild.yaml"
    step = {"type": "shell", "inline": ["true"]}

    def substituted(**values: str) -> Callable[[Path], None]:
        return lambda root: load(root, build, lambda value: value["substitutions"].update(values))

    def built(**options: Any) -> Callable[[Path], None]:
        return lambda root: load(root, template, lambda value: value["builders"][0].update(options))

    made = [
        Edit("script", change(f"{folder}/install.sh", "#!/bin/bash\ntrue\n"), own),
        Edit("mode", lambda root: (root / folder / "install.sh").chmod(0o755), own),
        Edit("environment", change(f"{folder}/env/spack.yaml", recipe_tree.SPACK + "  # more\n"), own),
        Edit("shared file", change(f"{folder}/share/text", "another\n"), share),
        Edit("new file", change(f"{folder}/share/deep/new", "new\n"), share),
        Edit("gone", lambda root: (root / folder / "README.md").unlink()),
        Edit("words", change(f"{folder}/README.md", "other words\n")),
        Edit("common", change("common/etc/sysctl.conf", "# other\n"), common),
        Edit("unused common", change("common/unused", "still not\n")),
        Edit("test", change(f"{folder}/test/run.sh", "#!/bin/bash\ntrue\n"), retested=own),
        Edit("layout", lambda root: load(root, template, lambda _value: None)),
        Edit("provisioner", lambda root: load(root, template, lambda it: it["provisioners"].append(step)), own),
        Edit("disk", built(disk_size=77), own),
        Edit("zone", built(zone="elsewhere")),
        Edit("timeout", lambda root: load(root, build, lambda value: value.update(timeout="1900s"))),
        Edit("install root", substituted(_INSTALL_ROOT="/x"), own),
        Edit("default compiler", substituted(_COMPILER="another@1"), default),
    ]
    if one.compilers:
        file, chosen = f"{folder}/recipe.yaml", one.compilers[0]

        def other(value: Any) -> None:
            value["matrix"]["axes"]["compiler"][chosen] = {"_COMPILER": f"{chosen}@13"}

        made += [
            Edit("variant", lambda root: load(root, file, other), frozenset({f"{one.name}-{chosen}"})),
            Edit("owners", lambda root: load(root, file, lambda value: value.update(owners=["cfd"]))),
        ]
    return made


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Package, ...]:
    made: list[Package] = []
    for index in range(draw(st.integers(1, 4))):
        above = [family for one in made for family in one.families]
        made.append(
            Package(
                f"r{index}",
                draw(st.sampled_from(["", *above])),
                draw(st.sampled_from([(), COMPILERS[:2], COMPILERS])),
                draw(st.booleans()),
                draw(st.booleans()),
            )
        )
    return tuple(made)


def below(packages: tuple[Package, ...], changed: frozenset[str]) -> set[str]:
    """The families with all that is baked from them; a parent stands before its children."""
    found = set(changed)
    for one in packages:
        if one.parent in found:
            found |= set(one.families)
    return found


def planned(root: Path) -> dict[str, tuple[str, str]]:
    """Family to the digests of its image and tests."""
    report = plan_report(parse({"oven": "fake"}, "dev", root))
    assert not [problem for problem in report.problems if problem.severity is Severity.ERROR]
    return {one.image.family: (one.image.digest, one.image.tests_digest) for one in report.decisions}


def differing(before: Mapping[str, tuple[str, str]], after: Mapping[str, tuple[str, str]], place: int) -> set[str]:
    return {family for family in before if before[family][place] != after[family][place]}


@hypothesis_settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(worlds(), st.data())
def test_an_edit_of_a_file_rebakes_exactly_what_it_reaches(
    monkeypatch: pytest.MonkeyPatch, packages: tuple[Package, ...], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        lock_file.write(root / "bakery.lock", LOCK)
        for one in packages:
            one.write(root)
        before = planned(root)
        assert before.keys() == {family for one in packages for family in one.families}
        edit = data.draw(st.sampled_from(edits(data.draw(st.sampled_from(packages)), packages)))
        edit.make(root)
        after = planned(root)
        assert differing(before, after, 0) == below(packages, edit.rebaked), edit.title
        assert differing(before, after, 1) == edit.retested, edit.title
        monkeypatch.setenv("XDG_CACHE_HOME", str(root / "empty"))
        assert planned(root) == after, f"{edit.title}: what was remembered says something else"
