"""An HCL2 template as the model that ``packer.json`` gives: equal digests, variants, what can't be followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.lock.model import Lock
from bakery.plan.expand import spack_variables
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft
from bakery.recipe.hcl2.template import FROM_SETTINGS
from bakery.recipe.model import Json
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

SETTINGS = parse({"oven": "fake"}, "test", Path("/checkout"))


def images(root: Path, given: dict[str, str | bytes | None]) -> tuple[ImagePlan, ...]:
    recipe_tree.write(root, given)
    return draft(SETTINGS, recipe_tree.loaded(root), Lock(), locked=False).images


def image(root: Path, **files: str) -> ImagePlan:
    """The image of the HCL2 package with these files changed; _ in a name stands for a dot."""
    given = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    (found,) = images(root, hcl2_tree.changed(given))
    return found


def template(root: Path, body: str, before: str = "") -> Json:
    """The model of a package whose build has this body."""
    return image(root, app_pkr_hcl=f"{before}{hcl2_tree.SOURCE}{built(body)}").template


def built(body: str) -> str:
    return f'build {{\n  name    = "b"\n  sources = ["source.googlecompute.app"]\n{body}}}\n'


def test_a_package_rewritten_by_hand_has_the_same_manifest_and_digest(tmp_path: Path) -> None:
    (as_json,) = images(tmp_path / "json", {})
    as_hcl2 = image(tmp_path / "hcl2")
    assert as_hcl2.inputs == as_json.inputs
    assert as_hcl2.digest == as_json.digest
    assert [file.path for file in as_hcl2.files] == [file.path for file in as_json.files]
    assert as_hcl2.template["provisioners"] == as_json.template["provisioners"]
    assert as_hcl2.template_path == "packages/app/bakery.pkr.json"


def test_a_right_package_has_no_problem(tmp_path: Path) -> None:
    assert hcl2_tree.problems(tmp_path, {}) == ()


def test_its_json_syntax_is_the_same_template(tmp_path: Path) -> None:
    source = {
        "project_id": "${var.project_id}",
        "source_image_family": "${var.source_image_family}",
        "source_image_project_id": ["${var.source_image_project}"],
        "image_name": "${var.image_name}",
        "image_family": "${var.image_family}",
    }
    shell = {
        "script": '${join("/", [var.pkg_path, "install.sh"])}',
        "environment_vars": ["INSTALL_ROOT=${var.install_root}", "COMPILER=${var.compiler}", "ARCH=${var.target_arch}"],
    }
    copies = {
        "labels": ["file"],
        "for_each": ["${var.common_path}/etc", "${var.pkg_path}/${var.env_file}"],
        "content": {"source": "${provisioner.value}", "destination": "/tmp/"},
    }
    steps = {"dynamic": {"provisioner": copies}, "provisioner": [{"shell": shell}]}
    made = {
        "//": "a comment",
        "variable": {name: {"type": "string", "default": text} for name, text in recipe_tree.VARIABLES.items()},
        "source": {"googlecompute": {"app": source}},
        "build": [{"sources": ["source.googlecompute.app"], **steps}],
    }
    given = {"app.pkr.json": json.dumps(made, indent=2), "app.pkr.hcl": None, "variables.pkr.hcl": None}
    assert hcl2_tree.problems(tmp_path, given) == ()
    (found,) = images(tmp_path, hcl2_tree.changed(given))
    assert found.inputs == image(tmp_path / "other").inputs


def test_the_same_values_in_auto_files_win_in_packers_order(tmp_path: Path) -> None:
    steps = 'provisioner "shell" {\n inline = [var.one, var.two, upper(var.two)]\n}\n'
    found = image(
        tmp_path,
        variables_pkr_hcl=hcl2_tree.DECLARED + 'variable "one" {}\nvariable "two" {}\n',
        app_pkr_hcl=hcl2_tree.SOURCE + built(steps),
        a_auto_pkrvars_hcl='one = "a"\ntwo = "b"\nnot_declared = 1\n',
        b_auto_pkrvars_json='{"two": "c"}',
    )
    assert found.template["provisioners"][0]["inline"] == ["{{user `one`}}", "{{user `two`}}", "C"]
    assert (found.variables["one"], found.variables["two"]) == ("a", "c")


def test_numbers_of_the_json_syntax_are_those_of_hcl(tmp_path: Path) -> None:
    values = {"a": 2.0, "b": 1e3, "c": 0.5}
    steps = 'provisioner "shell" {\n inline = ["${var.a + 1} ${var.b} ${var.c}"]\n}\n'
    found = image(
        tmp_path,
        variables_pkr_json=json.dumps({"variable": {name: {"default": value} for name, value in values.items()}}),
        variables_pkr_hcl=hcl2_tree.DECLARED,
        app_pkr_hcl=hcl2_tree.SOURCE + built(steps),
    )
    assert [found.variables[name] for name in values] == ["2", "1000", "0.5"]
    assert found.template["provisioners"][0]["inline"] == ["3 {{user `b`}} {{user `c`}}"]


def test_only_except_and_override_are_done(tmp_path: Path) -> None:
    body = """
      provisioner "shell" {
        only   = ["googlecompute.other"]
        inline = ["no"]
      }
      provisioner "shell" {
        except = ["googlecompute.app"]
        inline = ["no"]
      }
      provisioner "shell" {
        only     = ["googlecompute.app"]
        name     = "title"
        inline   = ["one"]
        override = {
          app   = { inline = ["two"] }
          other = { inline = ["three"] }
        }
      }
      error-cleanup-provisioner "shell-local" {
        inline = ["echo ${source.name} ${source.type} ${build.name} ${build.ID}"]
      }
      post-processor "manifest" {}
      post-processors {
        post-processor "compress" {
          output = "x"
        }
      }
    """
    found = template(tmp_path, body)
    assert found["provisioners"] == [{"type": "shell", "inline": ["two"]}]
    cleanup = found["error-cleanup-provisioner"]["inline"]
    assert cleanup == ["echo app googlecompute b {{build `ID`}}"]
    assert found["post-processors"] == [{"type": "manifest"}, [{"type": "compress", "output": "x"}]]


@pytest.mark.parametrize("key", ["only", "except"])
def test_a_source_that_no_build_has_is_said(tmp_path: Path, key: str) -> None:
    """Packer takes it, and with ``only`` never runs the provisioner."""
    body = f'provisioner "shell" {{\n{key} = ["googlecompute.ap"]\ninline = ["true"]\n}}\n'
    recipe_tree.write(tmp_path, hcl2_tree.changed({"app.pkr.hcl": hcl2_tree.SOURCE + built(body)}))
    (found,) = [one for one in recipe_tree.loaded(tmp_path).problems if "not a source" in one.message]
    assert (found.severity, found.line) == (
        "warning",
        str(hcl2_tree.SOURCE + built(body)).split(key)[0].count("\n") + 1,
    )
    assert f"{key} names 'googlecompute.ap', which is not a source of any build" in found.message
    assert found.hint == "use one of: googlecompute.app"


def test_sources_in_the_build_and_nested_blocks(tmp_path: Path) -> None:
    source = """
      source "amazon-ebs" "app" {}
      source "googlecompute" "base" {
        image_name   = "x"
        image_family = "app"
        source_image = "base-1"
        source_image_project_id = ["debian-cloud"]
        region       = null
        dynamic "disk_attachment" {
          for_each = { b = 2, a = 1 }
          iterator = disk
          content {
            volume_size = disk.value
            device_name = disk.key
          }
        }
      }
      build {
        sources = ["amazon-ebs.app"]
        source "source.googlecompute.base" {
          name      = "mine"
          disk_size = 30
        }
      }
    """
    builders = image(tmp_path, app_pkr_hcl=source).template["builders"]
    (found,) = builders
    assert (found["type"], found["name"], found["disk_size"]) == ("googlecompute", "mine", 30)
    assert "region" not in found
    assert [disk["device_name"] for disk in found["disk_attachment"]] == ["a", "b"]


def test_files_that_functions_read_are_in_the_template(tmp_path: Path) -> None:
    body = 'provisioner "shell" {\n inline = [file("x.txt"), templatefile("./t", {a = 1})]\n}\n'
    given = {"x.txt": "one", "t": "<${a}>", "app.pkr.hcl": hcl2_tree.SOURCE + built(body)}
    (first,) = images(tmp_path, hcl2_tree.changed(given))
    assert first.template["provisioners"][0]["inline"] == ["one", "<1>"]
    (second,) = images(tmp_path, hcl2_tree.changed({**given, "x.txt": "two"}))
    assert first.digest != second.digest


def test_a_file_of_common_is_staged_and_left_to_packer(tmp_path: Path) -> None:
    found = image(
        tmp_path,
        app_pkr_hcl=hcl2_tree.SOURCE
        + built('provisioner "shell" {\n inline = [file("../../common/etc/sysctl.conf")]\n}\n'),
    )
    assert "common/etc/sysctl.conf" in {file.path for file in found.files}
    assert found.template["provisioners"][0]["inline"] == ['{{hcl "file(\\"../../common/etc/sysctl.conf\\")"}}']


def test_variants_with_other_values_have_their_own_templates(tmp_path: Path) -> None:
    body = """
      dynamic "provisioner" {
        labels   = ["shell"]
        for_each = var.compiler == "gcc@12" ? [] : ["clean"]
        content {
          inline = [upper("${provisioner.value} ${var.compiler}"), var.compiler]
        }
      }
    """
    matrix = "matrix:\n  axes:\n    compiler: [gcc@12, clang@17]\n"
    given = {"recipe.yaml": matrix, "app.pkr.hcl": hcl2_tree.SOURCE + built(body)}
    one, other = images(tmp_path, hcl2_tree.changed(given))
    assert one.template["provisioners"] == []
    assert other.template["provisioners"][0]["inline"] == ["CLEAN CLANG@17", "{{user `compiler`}}"]
    assert one.digest != other.digest


NOT_FOLLOWED = [
    "timestamp()",
    '"x-${uuidv4()}"',
    "data.http.x.body",
    "packer.version",
    "upper(path.cwd)",
    'upper("a-${var.project_id}")',  # $PROJECT_ID is only known in a build
    "[for x in [1] : timestamp()]",
    "local.late",
]


@pytest.mark.parametrize("expression", NOT_FOLLOWED)
def test_what_is_only_known_in_the_bake_counts_as_a_whole_and_is_said_once(tmp_path: Path, expression: str) -> None:
    before = 'data "http" "x" {\n url = "https://example.org"\n}\nlocals {\n late = timestamp()\n}\n'
    body = f'provisioner "shell" {{\n inline = flatten(["a", {expression}])\n}}\n' * 2
    given = {"app.pkr.hcl": before + hcl2_tree.SOURCE + built(body), "other.txt": "one"}
    (first,) = images(tmp_path, hcl2_tree.changed(given))
    assert {"packages/app/app.pkr.hcl", "packages/app/other.txt"} <= {file.path for file in first.files}
    said = [problem for problem in recipe_tree.loaded(tmp_path).problems if "only known in the bake" in problem.message]
    assert [(problem.severity, problem.file.rpartition("/")[2]) for problem in said] == [("warning", "app.pkr.hcl")]
    (second,) = images(tmp_path, hcl2_tree.changed({**given, "other.txt": "two"}))
    assert first.digest != second.digest


def test_a_time_in_a_name_counts_for_nothing(tmp_path: Path) -> None:
    named = hcl2_tree.SOURCE.replace("= var.image_name", '= "app-${timestamp()}"') + hcl2_tree.BUILD
    found = image(tmp_path, app_pkr_hcl=named)
    assert recipe_tree.loaded(tmp_path).problems[1:] == ()  # a warning: nothing uses image_name
    assert "packages/app/app.pkr.hcl" not in {file.path for file in found.files}


def test_a_default_from_the_environment_is_left_to_packer(tmp_path: Path) -> None:
    declared = hcl2_tree.DECLARED + 'variable "home" {\n default = env("HOME")\n}\n'
    body = 'provisioner "shell" {\n inline = [var.home]\n}\n'
    found = image(tmp_path, variables_pkr_hcl=declared, app_pkr_hcl=hcl2_tree.SOURCE + built(body))
    assert found.variables["home"] == '{{hcl "env(\\"HOME\\")"}}'
    assert "packages/app/app.pkr.hcl" in {file.path for file in found.files}


def test_types_and_null(tmp_path: Path) -> None:
    declared = """
      variable "cuda" {
        type    = bool
        default = true
      }
      variable "names" {
        type    = set(string)
        default = ["b", "a", "b"]
      }
      variable "nothing" {
        type    = string
        default = null
      }
      variable "shape" {
        type    = object({ size = number, more = optional(string, "m") })
        default = { size = "3" }
      }
    """
    body = """provisioner "shell" {
      inline      = [jsonencode({cuda = var.cuda, names = var.names, shape = var.shape}), "${var.cuda}"]
      environment = var.nothing
      script      = var.nothing == null ? null : "x"
    }
    """
    found = template(tmp_path, body, declared)["provisioners"]
    inline = ['{"cuda":true,"names":["a","b"],"shape":{"more":"m","size":3}}', "{{user `cuda`}}"]
    assert found == [{"type": "shell", "inline": inline}]


def test_variables_of_the_settings_are_not_followed_where_they_decide(tmp_path: Path) -> None:
    settings: Any = {
        "spack": {"ref": "v1", "source": "s", "packagesSource": "p", "packagesRef": "r", "cache": "gs://c"}
    }
    spack = {**settings["spack"], "cacheKey": "k", "mirror": "m"}
    assert spack_variables(parse({**settings, "spack": spack}, "x", Path("/c"))).keys() == FROM_SETTINGS
    declared = 'variable "spack_ref" {\n default = ""\n}\n'
    body = 'provisioner "shell" {\n inline = [upper(var.spack_ref), var.spack_ref]\n}\n'
    found = template(tmp_path, body, declared)["provisioners"][0]["inline"]
    assert found == ['{{hcl "upper(var.spack_ref)"}}', "{{user `spack_ref`}}"]


READS = 'provisioner "shell" {\n inline = [file("install.sh")]\n}\n'


def test_files_that_functions_have_read_are_named(tmp_path: Path) -> None:
    found = image(tmp_path, app_pkr_hcl=hcl2_tree.SOURCE + built(READS))
    assert found.template["hcl2"]["read"] == ["install.sh"]


def test_options_that_depend_on_something_sensitive_are_hidden(tmp_path: Path) -> None:
    declared = 'variable "key" {\n default = "geheim"\n sensitive = true\n}\n'
    declared += 'local "own" {\n expression = "geheim"\n sensitive = true\n}\nlocals {\n of_it = upper(local.own)\n}\n'
    for text, hidden in (("upper(var.key)", True), ("local.own", True), ("local.of_it", True), ('"open"', False)):
        source = hcl2_tree.SOURCE.replace("  image_name", f"  metadata = {{ k = {text} }}\n  image_name", 1)
        body = 'build {\n sources = ["source.googlecompute.app"]\n}\n'
        recipe_tree.write(tmp_path, hcl2_tree.changed({"app.pkr.hcl": source + declared + body}))
        (image,) = draft(SETTINGS, recipe_tree.loaded(tmp_path), Lock(), locked=False).images
        assert (image.inputs["packer.json metadata"] == "set") is hidden, text
        assert "geheim" not in str(image.inputs).lower()
