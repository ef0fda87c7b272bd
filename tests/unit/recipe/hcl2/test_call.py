"""What the command line of Packer says in ``cloudbuild.yaml`` counts for an HCL2 template, too."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from bakery.host.revision import path_in
from bakery.lock.model import Lock
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft
from bakery.plan.trigger_paths import watched
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

STEP = 'build {\n sources = [%s]\n provisioner "shell" {\n  inline = [upper(var.one), var.one]\n }\n}\n'
OTHER = 'source "googlecompute" "other" {\n image_family = "other"\n}\n'
DECLARED = 'variable "one" {\n default = "a"\n}\n'


def given(words: str, **files: str) -> dict[str, str | bytes | None]:
    """The package whose step has these words before the template's name."""
    build = hcl2_tree.files()["cloudbuild.yaml"].replace('"${_PKG_PATH}"]', f'{words}, "${{_PKG_PATH}}"]')
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


@pytest.mark.parametrize("name", ["nothing", "one"])
def test_a_value_that_is_written_like_a_reference_counts_with_the_whole_package(tmp_path: Path, name: str) -> None:
    found = image(tmp_path, f'"-only=googlecompute.app", "-var", "one={{{{user `{name}`}}}}"')
    (told,) = (one for one in recipe_tree.loaded(tmp_path).problems if "all files of the package count" in one.message)
    assert told.message.startswith('"upper(var.one)"')
    assert "packages/app/test/run.sh" in {file.path for file in found.files}


def test_a_variable_file_that_is_not_there(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, given('"-var-file=${_PKG_PATH}/none.pkrvars.hcl"'))
    errors = [one for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert "-var-file 'packages/app/none.pkrvars.hcl' does not exist" in [one.message for one in errors]


def test_only_and_except_choose_the_source(tmp_path: Path) -> None:
    assert image(tmp_path, '"-only=googlecompute.app"').template["builders"][0]["name"] == "app"
    assert image(tmp_path, '"-except=*.other"').template["builders"][0]["name"] == "app"


def test_an_argument_of_an_undeclared_variable_is_an_error(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, given('"-only=googlecompute.app", "-var", "nope=1"'))
    errors = [one.message for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert errors == ["-var nope=... sets an undeclared variable of the template"]


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


ALONE = hcl2_tree.DECLARED + hcl2_tree.SOURCE + hcl2_tree.BUILD


def called(root: Path, *templates: str, **files: str) -> list[str]:
    """Write the package with a call for each of the templates, and return the errors of its recipe."""
    steps = "".join(f"- {{name: hashicorp/packer, args: [build, {one}]}}\n" for one in templates)
    given = {"variables.pkr.hcl": None, "app.pkr.hcl": ALONE, "cloudbuild.yaml": f"steps:\n{steps}", **files}
    recipe_tree.write(root, hcl2_tree.changed(given))
    return [one.message for one in recipe_tree.loaded(root).problems if one.severity == "error"]


def planned(root: Path) -> ImagePlan:
    (found,) = draft(parse({"oven": "fake"}, "test", root), recipe_tree.loaded(root), Lock(), locked=False).images
    return found


OTHERS = {"b.pkr.hcl": "variable {}\n", "x.auto.pkrvars.hcl": 'compiler = "clang"\n'}


def test_a_call_of_one_file_reads_nothing_beside_it(tmp_path: Path) -> None:
    assert called(tmp_path / "alone", "packages/app/app.pkr.hcl") == []
    assert called(tmp_path / "beside", "packages/app/app.pkr.hcl", **OTHERS) == []
    alone, beside = planned(tmp_path / "alone"), planned(tmp_path / "beside")
    assert (alone.digest, alone.variables["compiler"]) == (beside.digest, "gcc@12")
    settings = parse({"oven": "fake"}, "test", tmp_path / "beside")
    paths = watched(beside, {beside.family: beside}, settings, partial(path_in, settings.root))
    assert "packages/app/app.pkr.hcl" in paths
    assert not [path for path in paths if "*" in path and "pkr" in path]


def test_a_call_of_the_folder_reads_all_of_it(tmp_path: Path) -> None:
    assert "variable has 0 labels instead of 1" in called(tmp_path / "1", "packages/app", **OTHERS)
    assert called(tmp_path / "2", "packages/app", **{"x.auto.pkrvars.hcl": OTHERS["x.auto.pkrvars.hcl"]}) == []
    assert planned(tmp_path / "2").variables["compiler"] == "clang"


def test_the_call_decides_between_json_and_hcl2(tmp_path: Path) -> None:
    packer_json = recipe_tree.files()["packer.json"]
    languages = {}
    for number, template in enumerate(("packages/app", "packages/app/app.pkr.hcl", "packages/app/packer.json")):
        assert called(tmp_path / str(number), template, **{"packer.json": packer_json}) == []
        languages[template] = "hcl2" in planned(tmp_path / str(number)).template
    assert list(languages.values()) == [True, True, False]


def test_calls_of_templates_that_are_not_one(tmp_path: Path) -> None:
    wrong = {
        ("packages/app/app.pkr.hcl", "packages/app"): "packer build reads 'packages/app/app.pkr.hcl' in one call and "
        "'packages/app' in another",
        ("packages/app/none.pkr.hcl",): "packer build reads 'packages/app/none.pkr.hcl', which is not a template of "
        "this package",
        ("packages/other/app.pkr.hcl",): "packer build reads 'packages/other/app.pkr.hcl', which is not a template of "
        "this package",
        ("packages/app/packer.json",): "packer build reads 'packages/app/packer.json', which is not a template of "
        "this package",
    }
    assert {calls: called(tmp_path / str(number), *calls) for number, calls in enumerate(wrong)} == {
        calls: [message] for calls, message in wrong.items()
    }


def test_a_variable_file_of_common_or_another_package_is_read_staged_and_counted(tmp_path: Path) -> None:
    digests = set()
    for number, (path, value) in enumerate((place, value) for place in ("common", "packages/other") for value in "bc"):
        root = tmp_path / str(number)
        recipe_tree.put(root / path / "x.pkrvars.hcl", f'one = "{value}"\n')
        found = image(root, f'"-only=googlecompute.app", "-var-file={path}/x.pkrvars.hcl"')
        assert found.template["provisioners"][0]["inline"][0] == value.upper()
        assert f"{path}/x.pkrvars.hcl" in {file.path for file in found.files}
        digests.add(found.digest)
    assert len(digests) == 4


def test_an_error_in_a_variable_file_of_another_package_names_it(tmp_path: Path) -> None:
    recipe_tree.put(tmp_path / "packages/other/x.pkrvars.hcl", 'two = "b"\none = upper("b")\n')
    recipe_tree.write(tmp_path, given('"-var-file=packages/other/x.pkrvars.hcl"'))
    (found,) = [one for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert (found.file, found.line) == (str(tmp_path / "packages/other/x.pkrvars.hcl"), 2)


def test_every_variant_has_the_values_of_its_own_file(tmp_path: Path) -> None:
    words = '"-only=googlecompute.app", "-var-file=${_PKG_PATH}/${_KIND}.pkrvars.hcl"'
    files = {f"{kind}.pkrvars.hcl": f'one = "{kind}"\n' for kind in ("small", "large")}
    files["recipe.yaml"] = "matrix:\n  axes:\n    kind: [small, large]\n"
    changed = given(words, **files)
    changed["cloudbuild.yaml"] = str(changed["cloudbuild.yaml"]).replace(
        "substitutions:", "substitutions:\n  _KIND: small"
    )
    recipe_tree.write(tmp_path, changed)
    settings = parse({"oven": "fake"}, "test", tmp_path)
    images = draft(settings, recipe_tree.loaded(tmp_path), Lock(), locked=False).images
    found = {one.variables["one"]: one.template["provisioners"][0]["inline"][0] for one in images}
    assert found == {"small": "SMALL", "large": "LARGE"}


def test_a_variable_file_that_only_the_build_knows_is_an_error(tmp_path: Path) -> None:
    recipe_tree.write(tmp_path, given('"-var-file=${_PKG_PATH}/$BUILD_ID.pkrvars.hcl"'))
    errors = [one.message for one in recipe_tree.loaded(tmp_path).problems if one.severity == "error"]
    assert errors == ["-var-file 'packages/app/$BUILD_ID.pkrvars.hcl' is only known in the build"]
