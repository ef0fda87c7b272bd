"""What the engine leaves that only the next ``make up`` or ``make destroy`` can tell, and settings it passes."""

from __future__ import annotations

import json
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


def test_a_first_promotion_whose_engine_was_killed_is_given_back_by_a_destroy(workshop: Workshop) -> None:
    """The library was changed, the state was not: recover records it, so that nobody wants the family for ever."""
    workshop.recipe("one")
    workshop.must_up()
    file = workshop.folder / "backend" / ".pulumi" / "stacks" / "image-bakery" / "dev.json"
    state = json.loads(file.read_text(encoding="utf-8"))
    deployment = state["checkpoint"]["latest"]
    (made,) = [one for one in deployment["resources"] if one["type"].endswith(":PromotedImage")]
    deployment["resources"].remove(made)
    unsaved = {key: value for key, value in made.items() if key not in ("id", "outputs")}
    deployment["pending_operations"] = [{"resource": unsaved, "type": "creating"}]
    file.write_text(json.dumps(state), encoding="utf-8")
    file.with_name(f"{file.name}.attrs").write_bytes(b"")  # a kill between the two files that the engine writes
    cleared, recorded = bakery(workshop, "recover").stdout.splitlines()
    assert cleared.startswith("cleared the incomplete attributes of dev.json")
    assert recorded == "recorded what an engine that was killed had done: creating PromotedImage one"
    assert workshop.pending() == []
    assert workshop.steps() == {}
    assert workshop.run("destroy", "--yes", "--skip-preview").code == 0
    assert (workshop.families(), list(workshop.library.wants())) == ({}, [])


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


def test_a_secret_is_nowhere_but_in_the_image_that_needs_it(workshop: Workshop) -> None:
    """The program, its plugin and the command use it; state, orders, logs, plan and library hold none of it."""
    token = "t0ken-of-somebody"
    package = workshop.recipe("one", tests=False)
    recipe = json.loads((package / "packer.json").read_text(encoding="utf-8"))
    recipe["variables"] |= {"spack_source": "", "spack_ref": ""}
    variables = ["SPACK_SOURCE={{user `spack_source`}}", "SPACK_REF={{user `spack_ref`}}"]
    recipe["provisioners"][0]["environment_vars"] = variables
    (package / "packer.json").write_text(json.dumps(recipe), encoding="utf-8")
    workshop.configure()
    set_secret = ("config", "set", "--secret", "--path", "image-bakery:spack.source")
    command = workshop.command(*set_secret, f"https://user:{token}@example.com/spack.git")
    subprocess.run(command, cwd=workshop.folder, env=workshop.env, check=True, capture_output=True)
    engine = ("up", "--yes", "--skip-preview", "--stack", "dev", "--non-interactive")
    texts = []
    for arguments in (
        ("pulumi", *engine),
        ("pulumi", "preview", "--diff", *engine[3:]),
        ("pulumi", "stack", "export", *engine[3:]),
    ):
        done = subprocess.run(
            arguments, cwd=workshop.folder, env=workshop.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        texts += [done.stdout, done.stderr]
    for words in (("plan", "--json"), ("recover",), ("doctor",), ("bake", "one"), ("library", "--json")):
        said = bakery(workshop, *words)
        assert said.returncode == 0, said.stderr
        texts += [said.stdout, said.stderr]
    assert '"variable spack_source"' in json.dumps(json.loads(texts[4])["deployment"])
    assert not [text for text in texts if token in text]
    files = [file for file in workshop.folder.rglob("*") if file.is_file() and "packages" not in file.parts]
    files = [file for file in files if file.resolve().is_relative_to(workshop.folder)]
    assert any("orders" in file.parts for file in files)
    assert [str(file) for file in files if token.encode() in file.read_bytes()] == []
    (order,) = (workshop.folder / ".bakery" / "orders").glob("one-*.json")
    assert json.loads(order.read_text(encoding="utf-8"))["variables"]["spack_source"] == "[secret spack.source]"
