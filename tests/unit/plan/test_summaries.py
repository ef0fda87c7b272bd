"""What is remembered of an earlier plan never changes what a plan says."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bakery.lock.model import Lock, LockedBase, Place
from bakery.plan import digest
from bakery.plan.plan import draft
from bakery.plan.summaries import image_summaries
from bakery.plan.summary import ImageSummary
from bakery.recipe.load import find_packages
from bakery.settings import Settings, parse
from tests.support import recipe_tree
from tests.support.every import every
from tests.support.mutation import mutated
from tests.support.next_rules import BOTH
from tests.support.plan_builders import LOCK
from tests.unit.recipe.test_load import MATRIX


class Notes(dict[str, bytes]):
    """A memory that counts what it had to be told."""

    told = 0

    def put(self, key: str, content: bytes) -> None:
        self.told += 1
        self[key] = content


def settings(root: Path, **values: object) -> Settings:
    return parse({"oven": "fake", **values}, "test", root)


def tower(root: Path) -> None:
    """base <- middle <- top, and one beside them with a matrix."""
    for name, parent in (("base", ""), ("middle", "base"), ("top", "middle"), ("beside", "")):
        build = recipe_tree.build(f"packages/{name}").replace("IMAGE_FAMILY: app", f"IMAGE_FAMILY: {name}")
        changed = {
            "cloudbuild.yaml": build.replace("debian-12", parent) if parent else build,
            "fluidrun.yaml": recipe_tree.SUITE.replace("packages/app", f"packages/{name}"),
        }
        recipe_tree.write(root, changed, name)
    recipe_tree.put(root / "packages/beside/recipe.yaml", MATRIX.replace("    parent: base-zen3\n", ""))


def told(root: Path, notes: Notes, chosen: Settings) -> tuple[tuple[ImageSummary, ...], int]:
    """The outlines, compared with the whole plan, and how many packages had to be worked out."""
    before = notes.told
    found = find_packages(root / "packages", root / "common")
    made, problems = image_summaries(chosen, found, Lock(), notes, locked=False)
    plan = draft(chosen, found.recipes(), Lock(), locked=False)
    names = ImageSummary.__dataclass_fields__
    assert [[getattr(one, name) for name in names] for one in made] == [
        [getattr(one, name) for name in names] for one in plan.images
    ]
    assert problems == plan.problems
    return made, notes.told - before


def test_only_what_changed_is_worked_out_again(tmp_path: Path) -> None:
    tower(tmp_path)
    notes = Notes()
    made, worked = told(tmp_path, notes, settings(tmp_path))
    assert (len(made), worked) == (7, 4)
    assert told(tmp_path, notes, settings(tmp_path)) == (made, 0)
    recipe_tree.put(tmp_path / "packages/middle/install.sh", "#!/bin/sh\n")
    again, worked = told(tmp_path, notes, settings(tmp_path))
    assert worked == 1  # middle; top is on another base now, and its content is the same
    changed = {one.family for one, old in zip(again, made, strict=True) if one.digest != old.digest}
    assert changed == {"middle", "top"}


def test_settings_and_the_lock_count(tmp_path: Path) -> None:
    tower(tmp_path)
    notes = Notes()
    told(tmp_path, notes, settings(tmp_path))
    assert told(tmp_path, notes, settings(tmp_path, nonce={"base": "1"}))[1] == 4
    assert told(tmp_path, notes, settings(tmp_path, nonce={"base": "1"}, select=["top"]))[1] == 4
    found = find_packages(tmp_path / "packages", tmp_path / "common")
    unlocked, _ = image_summaries(settings(tmp_path), found, Lock(), notes, locked=False)
    pinned = LOCK.put(Place.LOCAL, "debian-cloud", "debian-12", LockedBase("debian-12-newer", "inrelease:1"))
    for lock in (LOCK, pinned):
        locked, problems = image_summaries(settings(tmp_path), found, lock, notes)
        assert not any("lock file" in problem.message for problem in problems)
        assert not {one.digest for one in locked} & {one.digest for one in unlocked}
        unlocked = locked


def test_what_is_proven_under_old_rules_is_outlined_as_it_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tower(tmp_path)
    found = find_packages(tmp_path / "packages", tmp_path / "common")
    before = draft(settings(tmp_path), found.recipes(), Lock(), locked=False)
    monkeypatch.setattr(digest, "GENERATIONS", BOTH)
    proven = {image.digest[:32] for image in before.images if image.family != "middle"}
    made, _ = image_summaries(settings(tmp_path), found, Lock(), Notes(), locked=False, proven=proven)
    plan = draft(settings(tmp_path), found.recipes(), Lock(), locked=False, proven=proven)
    assert [(one.name, one.rules) for one in made] == [(one.name, one.rules) for one in plan.images]
    assert {one.family: one.rules for one in made if one.package != "beside"} == {"base": 2, "middle": 3, "top": 3}


def test_the_profile_and_its_files_count(tmp_path: Path) -> None:
    tower(tmp_path)
    recipe_tree.put(tmp_path / "packages/top/recipe.yaml", "cluster: {profile: production, prolog: test/run.sh}\n")
    site = tmp_path / "site.conf"
    site.write_text("MaxJobCount=9\n")
    notes, stack = Notes(), {"profile": "production", "slurmConf": "site.conf"}
    told(tmp_path, notes, settings(tmp_path))
    made, worked = told(tmp_path, notes, settings(tmp_path, cluster=stack))
    assert worked == 4
    site.write_text("MaxJobCount=8\n")
    again, worked = told(tmp_path, notes, settings(tmp_path, cluster=stack))
    assert worked == 4
    assert [one.digest for one in again] == [one.digest for one in made]
    assert not {one.tests_digest for one in again} & {one.tests_digest for one in made}


def test_problems_point_to_files_from_where_the_user_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tower(tmp_path)
    notes = Notes()
    told(tmp_path, notes, settings(tmp_path))
    for folder, first in ((tmp_path, {"packages"}), (tmp_path / "packages", {"base", "beside", "middle", "top"})):
        monkeypatch.chdir(folder)
        found = find_packages(tmp_path / "packages", tmp_path / "common")
        problems = image_summaries(settings(tmp_path), found, Lock(), notes, locked=False)[1]
        assert {problem.file.split("/")[0] for problem in problems} <= first
        assert every(Path(problem.file).is_file() for problem in problems)
    assert notes.told == 4


def test_what_is_spoilt_at_random_is_outlined_as_it_is_planned(tmp_path: Path) -> None:
    tower(tmp_path)
    notes = Notes()
    chance = random.Random(4)
    for seed in range(150):
        path, content = mutated(seed)
        file = tmp_path / "packages" / chance.choice(("base", "middle", "top", "beside")) / path
        before = file.read_bytes() if file.exists() else None
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        told(tmp_path, notes, settings(tmp_path))
        if chance.random() < 0.8:
            file.unlink() if before is None else file.write_bytes(before)
            told(tmp_path, notes, settings(tmp_path))
            continue
        tower(tmp_path)
