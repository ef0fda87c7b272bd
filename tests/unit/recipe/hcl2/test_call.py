"""What the command line of Packer says in ``cloudbuild.yaml`` counts for an HCL2 template, too."""

from __future__ import annotations

from pathlib import Path

from bakery.lock.model import Lock
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

STEP = 'build {\n sources = [%s]\n provisioner "shell" {\n  inline = [upper(var.one), var.one]\n }\n}\n'
OTHER = 'source "googlecompute" "other" {\n image_family = "other"\n}\n'
DECLARED = 'variable "one" {\n default = "a"\n}\n'


def given(words: str, **files: str) -> dict[str, str | bytes | None]:
    """The package whose step has these words before the template's name."""
    build = hcl2_tree.files()["cloudbuild.yaml"].replace('"${_PKG_PATH}/app.pkr.hcl"', f'{words}, "${{_PKG_PATH}}"')
    text = hcl2_tree.SOURCE + OTHER + DECLARED + STEP % '"source.googlecompute.other", "source.googlecompute.app"'
    return hcl2_tree.changed({"app.pkr.hcl": text, "cloudbuild.yaml": build, **files})


def image(root: Path, words: str, **files: str) -> ImagePlan:
    recipe_tree.write(root, given(words, **files))
    settings = parse({"oven": "fake"}, "test", root)
    (found,) = draft(settings, recipe_tree.loaded(root), Lock(), locked=False).images
    return found


def test_variable_files_are_read_staged_and_counted(tmp_path: Path) -> None:
    words = '"-only=googlecompute.app", "-var-file=${_PKG_PATH}/v/x.pkrvars.hcl"'
    first = image(tmp_path, words, **{"v/x.pkrvars.hcl": 'one = "b"\n'})
    assert first.template["provisioners"][0]["inline"] == ["B", "{{user `one`}}"]
    assert first.variables["one"] == "b"
    assert "packages/app/v/x.pkrvars.hcl" in {file.path for file in first.files}
    second = image(tmp_path, words, **{"v/x.pkrvars.hcl": 'one = "c"\n'})
    assert first.digest != second.digest


def test_a_variable_file_that_is_not_there(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, given('"-var-file=${_PKG_PATH}/none.pkrvars.hcl"'))
    errors = [one for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert "'packages/app/none.pkrvars.hcl' does not exist" in [one.message for one in errors]


def test_only_and_except_choose_the_source(tmp_path: Path) -> None:
    assert image(tmp_path, '"-only=googlecompute.app"').template["builders"][0]["name"] == "app"
    assert image(tmp_path, '"-except=*.other"').template["builders"][0]["name"] == "app"


def test_an_argument_of_an_undeclared_variable_is_an_error(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, given('"-only=googlecompute.app", "-var", "nope=1"'))
    errors = [one.message for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert errors == ["-var nope=... sets an undeclared variable of packer.json"]


def test_a_variable_in_the_environment_is_refused(tmp_path: Path) -> None:
    changed = given('"-only=googlecompute.app"')
    build = str(changed["cloudbuild.yaml"]).replace("  args:", "  env: [PKR_VAR_one=x]\n  args:")
    recipe_tree.write(tmp_path, {**changed, "cloudbuild.yaml": build})
    errors = [one.message for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert errors == ["PKR_VAR_one sets a variable in the environment"]


PLUGINS = """packer {
  required_plugins {
    ansible = {
      source  = "github.com/hashicorp/ansible"
      version = "%s"
    }
  }
}
"""


def test_the_version_of_a_provisioners_plugin_is_in_the_digest(tmp_path: Path) -> None:
    words = '"-only=googlecompute.app"'
    digests = {image(tmp_path, words, **{"p.pkr.hcl": PLUGINS % text}).digest for text in ("1.0.0", "1.1.0", "1.0.0")}
    assert len(digests) == 2
