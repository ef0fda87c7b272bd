"""What the engine leaves that only the next ``make up`` or ``make destroy`` can tell, and settings it passes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.workshop import Workshop

URN = "urn:pulumi:dev::image-bakery::pulumi-python:dynamic/bakery:"
CHILD = f"{URN}BakedImage$pulumi-python:dynamic/bakery:"


def bakery(workshop: Workshop, *arguments: str, stack: str = "dev") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from bakery.cli.app import main; main()", *arguments, "--stack", stack]
    return subprocess.run(command, cwd=workshop.folder, env=workshop.env, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("excluded", [f"{URN}BakedImage::one", f"{CHILD}PromotedImage::one"])
def test_a_state_that_the_engine_made_invalid_is_repaired(workshop: Workshop, excluded: str) -> None:
    """The engine stores resources that depend on an excluded one, and refuses to read them afterwards."""
    workshop.recipe("one")
    workshop.recipe("two", parent="one")
    assert workshop.up("--exclude", excluded).code != 0
    assert "repaired the state" in bakery(workshop, "recover", stack="organization/image-bakery/dev").stdout
    assert bakery(workshop, "recover").stdout == ""
    workshop.must_up()
    assert set(workshop.families()) == {"one", "two"}
    assert workshop.bake_logs() == 2


def test_what_a_destroy_left_is_counted(workshop: Workshop) -> None:
    workshop.recipe("one")
    workshop.must_up()
    assert workshop.run("destroy", "--yes", "--skip-preview", "--target", f"{CHILD}PromotedImage::one").code == 0
    left = bakery(workshop, "recover", "--destroyed")
    assert (left.returncode, left.stdout) == (1, "")
    assert "2 resources are left in stack dev; run `make destroy` again" in left.stderr.replace("\nhint: ", "; ")
    assert workshop.run("destroy", "--yes", "--skip-preview").code == 0
    assert bakery(workshop, "recover", "--destroyed").returncode == 0


def test_an_unknown_key_stops_the_program_before_anything_is_baked(workshop: Workshop) -> None:
    workshop.recipe("one")
    workshop.extra = {"selct": ["one"]}
    for done in (workshop.preview(), workshop.up()):
        assert done.code != 0
        assert "unknown key 'image-bakery:selct'; did you mean 'select'?" in done
    assert workshop.bake_logs() == 0


def test_program_and_command_use_the_projects_values(workshop: Workshop) -> None:
    workshop.recipe("one", tests=False)
    workshop.recipe("two", tests=False)
    project = workshop.folder / "Pulumi.yaml"
    project.write_text(project.read_text(encoding="utf-8") + "config: {select: [one], nonce: {default: {one: 1.0}}}\n")
    workshop.must_up()
    assert set(workshop.families()) == {"one"}
    plan = bakery(workshop, "plan")
    assert "1 image: 1 kept" in plan.stdout, plan.stdout + plan.stderr
