"""The bakery in somebody's own Pulumi program: the examples of docs/examples, run by the real engine."""

from __future__ import annotations

import shutil

import pytest
import yaml

from bakery.settings import from_file
from tests.engine.conftest import Start
from tests.support.root import ROOT
from tests.support.workshop import Workshop

EXAMPLES = ROOT / "docs/examples"
PASSED = """
from pathlib import Path
import pulumi
import bakery
own = pulumi.ProviderResource("pulumi-python", "own")
given = {"oven": "fake", "state": Path("elsewhere"), "select": ["base"]%s}
images = bakery.declare(Path(__file__).parent, given, after=[own])
pulumi.export("families", images.families)
"""


def program(workshop: Workshop, text: str) -> None:
    workshop.write("__main__.py", text)


def example(workshop: Workshop, name: str) -> None:
    program(workshop, (EXAMPLES / name).read_text(encoding="utf-8").replace('"local"', '"fake"'))


@pytest.fixture
def site(start: Start) -> Workshop:
    """A program that declares the bakery, and two recipes."""

    def prepare(workshop: Workshop) -> None:
        workshop.recipe("rcc-debian")
        workshop.recipe("hpcc", parent="rcc-debian")
        example(workshop, "own_program.py")

    return start("site", prepare)


def named(workshop: Workshop, name: str) -> Workshop:
    """Give the project another name, as that of somebody's own program; its stack is a new one."""
    file = workshop.folder / "Pulumi.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"name": name}))
    workshop.provider = {f"{name}:state": "a setting of its own"}
    assert workshop.run("stack", "init").code == 0
    return workshop


def test_a_program_of_ones_own_has_images_beside_other_resources(site: Workshop) -> None:
    named(site, "site")
    preview = site.preview()
    assert preview.code == 0, preview.text
    assert "baked: hpcc has no image yet" in preview
    site.must_up()
    families = site.families()
    assert set(families) == {"rcc-debian", "hpcc"}
    outputs = site.outputs()
    assert outputs["families"] == families
    image = site.library.find(families["hpcc"])
    assert image is not None and image.digest in outputs["boot_image"]
    assert {want.stack for want in site.library.wants()} == {"site/dev"}
    assert site.steps() == {}
    assert from_file(site.folder, site.stack).namespace == "image-bakery", "the commands read the same settings"
    assert site.run("destroy", "--yes", "--skip-preview").code == 0
    assert site.families() == {}


def test_settings_that_a_program_passes_are_those_of_the_plugin_and_of_destroy(pair: Workshop) -> None:
    before = pair.families()
    program(pair, PASSED % "")
    pair.must_up()
    outputs = pair.outputs()
    pair.state = "elsewhere"
    assert outputs["families"] == pair.families() == {"base": before["base"]}, "a library of its own"
    (baked,) = pair.resources("BakedImage")
    assert [urn.rpartition("::")[2] for urn in baked["dependencies"]] == ["own"]
    assert pair.steps() == {}
    program(pair, "")
    assert pair.run("destroy", "--yes", "--skip-preview").code == 0
    assert pair.families() == {}


def test_passing_the_same_settings_bakes_nothing_again(pair: Workshop) -> None:
    before, bakes = pair.families(), pair.bake_logs()
    program(pair, (PASSED % "").replace('Path("elsewhere"), "select": ["base"]', '".bakery"'))
    pair.must_up()
    assert (pair.families(), pair.bake_logs(), len(pair.library.runs())) == (before, bakes, 2)
    assert pair.steps() == {}
    pair.write("__main__.py", (ROOT / "__main__.py").read_text())
    pair.must_up()
    assert (pair.families(), pair.bake_logs(), len(pair.library.runs())) == (before, bakes, 2)


def test_wrong_settings_are_all_named_with_the_line_that_passes_them(pair: Workshop) -> None:
    program(pair, PASSED % ', "retentionDays": "soon", "ovn": "fake"')
    up = pair.up()
    assert up.code != 0
    assert "__main__.py:7: error: settings:retentionDays is 'soon'" in up
    assert "__main__.py:7: error: unknown key 'settings:ovn'; did you mean 'oven'" in up
    assert "Traceback" not in up
    program(pair, PASSED % ', "lock": pulumi.Output.from_input("bakery.lock")')
    up = pair.up()
    assert "__main__.py:7: error: settings:lock is of the type Output" in up
    assert "Traceback" not in up


@pytest.mark.parametrize("settings", ["", ', {"oven": "fake", "state": "two"}'])
def test_a_second_declaration_is_refused_with_the_line_of_the_first(pair: Workshop, settings: str) -> None:
    call = f"bakery.declare(Path(__file__).parent{settings})\n"
    program(pair, f"from pathlib import Path\nimport bakery\n{call * 2}")
    preview = pair.preview()
    assert preview.code != 0
    what = "settings are passed" if settings else "bakery.declare is called"
    assert f"__main__.py:4: error: {what} in __main__.py:3 already" in preview
    assert "Traceback" not in preview


def test_a_family_without_an_image_ends_the_program_when_all_else_has_ended(site: Workshop) -> None:
    site.fake = {"bakes": {"hpcc": {"fail": "bake"}}}
    up = site.up()
    assert up.code != 0
    assert set(site.families()) == {"rcc-debian"}
    assert "resources failed or depend on one that failed" in up
    assert "Traceback" not in up


def test_one_image_is_baked_and_tested_alone(site: Workshop) -> None:
    example(site, "one_image.py")
    shutil.rmtree(site.folder / "packages/hpcc")
    site.must_up()
    site.state = "state"
    outputs = site.outputs()
    image = site.library.find(outputs["image"])
    assert image is not None
    assert (image.proof, [run.run_id for run in site.library.runs()]) == ("passed", [outputs["run"]])
    assert site.families() == {}
    assert site.resources("PromotedImage") == []


def test_a_program_with_an_asynchronous_part_declares_it_there(pair: Workshop) -> None:
    lines = (PASSED % "").strip().splitlines()
    body = "\n".join(f"    {line}" for line in lines)
    program(pair, f"import pulumi\nasync def main():\n{body}\npulumi.run(main)\n")
    pair.must_up()
    families = pair.outputs()["families"]
    pair.state = "elsewhere"
    assert families == pair.families()
    assert set(families) == {"base"}
