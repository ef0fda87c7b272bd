"""A push that changes an image starts its trigger, whose steps find the project and the recipes in their clone."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from bakery.infrastructure.triggers import builder_image
from bakery.lock import file as lock_file
from bakery.plan.plan import make
from bakery.recipe.roots import recipes_of
from bakery.settings import from_file
from tests.support.checkout import COMMAND, Checkout
from tests.support.layouts import (
    SCRIPT,
    Layout,
    another_repository,
    at_the_root,
    beside,
    git,
    ignored,
    in_a_subfolder,
    submodule,
    work_tree,
)
from tests.support.triggers import Declared, declared


def triggers_of(root: Path) -> Declared:
    """The triggers of the stack ``gcp``."""
    settings = from_file(root, "gcp")
    return declared(settings, make(settings, recipes_of(settings), lock_file.read(settings.lock)))


def starts(trigger: dict[str, Any], changed: list[str]) -> bool:
    """Whether a push with changes of these files starts a trigger: as filepath.Match of Go, and ``**``."""
    parts = {"**": ".*", "*": "[^/]*"}
    patterns = [
        "".join(parts.get(part, re.escape(part)) for part in re.split(r"(\*\*|\*)", glob))
        for glob in trigger["includedFiles"]
    ]
    return any(re.fullmatch(pattern, file) for pattern in patterns for file in changed)


def run(layout: Layout, trigger: dict[str, Any], clone: Path) -> subprocess.CompletedProcess[str]:
    """Do what Cloud Build does: clone the repository, and run each step in its folder of the clone."""
    git(clone.parent, "clone", "--quiet", str(layout.top), str(clone))
    builder = builder_image(from_file(layout.root, "gcp").google)
    for step in trigger["build"]["steps"]:
        assert step["name"] == builder
        program = [step["entrypoint"]] if "entrypoint" in step else COMMAND
        done = subprocess.run(
            [*program, *step["args"]], cwd=clone / step.get("dir", ""), env=Checkout(clone).environment(),
            capture_output=True, text=True, check=True,
        )  # fmt: skip
    return done


@pytest.mark.parametrize("made", [at_the_root, in_a_subfolder, beside, submodule, work_tree])
def test_a_push_starts_the_triggers_of_what_it_changed(made: Callable[[Path], Layout], tmp_path: Path) -> None:
    layout = made(tmp_path / "repository")
    triggers = triggers_of(layout.root)
    changed = git(layout.top, "diff", "--name-only", "HEAD^").split()
    assert len(changed) == 1
    assert starts(triggers["bake-app"], changed)
    assert starts(triggers["bakery-preview"], changed)
    # Of a submodule, a commit says no more than that something in it changed.
    assert starts(triggers["bake-base"], changed) is (made is submodule)
    prefix = "" if made is at_the_root else "infra/images/"
    for name in ("Pulumi.gcp.yaml", "bakery.lock"):
        assert starts(triggers["bake-base"], [prefix + name])
        assert not starts(triggers["bake-base"], [f"other/{name}"])
    done = run(layout, triggers["bakery-preview"], tmp_path / "clone")
    assert "2 images: 2 baked" in done.stdout


@pytest.mark.parametrize("made", [another_repository, ignored])
def test_recipes_that_the_repository_does_not_have_are_a_warning(
    made: Callable[[Path], Layout], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: told.append(text))
    layout = made(tmp_path / "repository")
    trigger = triggers_of(layout.root)["bake-app"]
    assert [text.partition(";")[0].partition(" is not in ")[0] for text in told] == [str(layout.recipes / "packages")]
    assert "add it as a submodule" in told[0]
    assert not starts(trigger, [SCRIPT, f"recipes/{SCRIPT}"])
    assert trigger["includedFiles"] == ["Pulumi.gcp.yaml", "bakery.lock"]
