"""Several googlecompute sources of an HCL2 template: an image each."""

from __future__ import annotations

from pathlib import Path

from bakery.errors import Severity
from bakery.lock.model import Lock
from bakery.orders.model import bake_order
from bakery.ovens.cloud_build.request import build_request, packer_template
from bakery.ovens.local.template import render
from bakery.plan.model import ImagePlan
from bakery.plan.plan import draft
from bakery.settings import parse
from tests.support import hcl2_tree, recipe_tree

SETTINGS = parse({"oven": "fake", "google": {"project": "p", "region": "us-central1"}}, "test", Path("/checkout"))
SOURCE = """source "googlecompute" "%s" {
  source_image_family     = "debian-12"
  source_image_project_id = ["debian-cloud"]
  image_family            = "%s"
}
"""
BUILD = """build {
  name    = "all"
  sources = ["source.googlecompute.small", "source.amazon-ebs.other", "source.googlecompute.large"]
  provisioner "shell" {
    inline = ["echo ${source.name}"]
  }
  provisioner "shell" {
    only   = ["googlecompute.large"]
    script = "packages/app/large.sh"
  }
}
"""
AMAZON = 'source "amazon-ebs" "other" {}\n'


def images(root: Path, text: str, steps: str = "", **files: str) -> tuple[ImagePlan, ...]:
    given = {"packer.json": None, "app.pkr.hcl": text, "large.sh": "#!/bin/sh\n", "cloudbuild.yaml": None, **files}
    if steps:
        given["cloudbuild.yaml"] = steps
    recipe_tree.write(root, {**given, "env/spack.yaml": None})
    recipes = recipe_tree.loaded(root)
    assert [str(problem) for problem in recipes.problems if problem.severity is Severity.ERROR] == []
    return draft(SETTINGS, recipes, Lock(), locked=False).images


def two(small: str = "small", large: str = "large") -> str:
    return SOURCE % ("small", small) + AMAZON + SOURCE % ("large", large) + BUILD


def step(*words: str) -> str:
    arguments = ", ".join(f'"{word}"' for word in ("build", *words, "packages/app"))
    return f"- name: hashicorp/packer\n  args: [{arguments}]\n"


def test_each_makes_an_image_of_its_own_provisioners_and_files(tmp_path: Path) -> None:
    small, large = images(tmp_path, two())
    assert [(one.family, one.variant) for one in (small, large)] == [("small", "small"), ("large", "large")]
    assert [entry.get("inline") for entry in small.template["provisioners"]] == [["echo small"]]
    assert [entry.get("inline") for entry in large.template["provisioners"]] == [["echo large"], None]
    assert [[file.path for file in one.files] for one in (small, large)] == [[], ["packages/app/large.sh"]]
    assert "others" not in {*small.template["hcl2"], *large.template["hcl2"]}
    changed_small, changed_large = images(tmp_path, two(), **{"large.sh": "#!/bin/sh\nchanged\n"})
    assert (changed_small.digest == small.digest, changed_large.digest == large.digest) == (True, False)


def test_one_family_gets_the_names_of_the_sources(tmp_path: Path) -> None:
    assert [one.family for one in images(tmp_path, two("app", "app"))] == ["app-small", "app-large"]


def test_only_and_except_name_the_build_and_the_source(tmp_path: Path) -> None:
    chosen = {
        "-only=all.googlecompute.large": ["large"],
        "-only=*.small": ["small"],
        "-except=all.*.small": ["large"],
        "-only=all.*": ["small", "large"],
    }
    found = {
        word: [one.family for one in images(tmp_path / str(number), two(), f"steps:\n{step(word)}")]
        for number, word in enumerate(chosen)
    }
    assert found == chosen


def test_every_file_is_looked_for(tmp_path: Path) -> None:
    given = hcl2_tree.changed({"app.pkr.hcl": two().replace("large.sh", "gone.sh"), "cloudbuild.yaml": None})
    recipe_tree.write(tmp_path, {**given, "env/spack.yaml": None})
    (said,) = [one for one in recipe_tree.loaded(tmp_path).problems if "gone.sh" in one.message]
    assert (said.severity, said.line) == (Severity.ERROR, (two().split("packages/app/large.sh")[0].count("\n") + 1))


def test_one_source_in_two_builds_is_told_apart_by_them(tmp_path: Path) -> None:
    build = 'build {\n name = "%s"\n sources = ["source.googlecompute.app"]\n%s}\n'
    more = 'provisioner "shell" {\n inline = ["b"]\n}\n'
    found = images(tmp_path, SOURCE % ("app", "app") + build % ("a", "") + build % ("b", more))
    assert [(one.family, len(one.template["provisioners"])) for one in found] == [("app-a-app", 0), ("app-b-app", 1)]


def test_a_build_may_give_its_source_another_name(tmp_path: Path) -> None:
    body = ' source "source.googlecompute.app" {\n name = "mine"\n }\n provisioner "shell" {\n inline = ["x"]\n'
    text = SOURCE % ("app", "app") + f"build {{\n{body}" + ' only = ["googlecompute.mine"]\n }\n}\n'
    (found,) = images(tmp_path, text, f"steps:\n{step('-only=googlecompute.mine')}")
    assert [entry["inline"] for entry in found.template["provisioners"]] == [["x"]]


def test_a_build_of_one_source_has_its_steps_and_the_name_that_only_has(tmp_path: Path) -> None:
    steps = f"steps:\n{step('-only=all.*.small')}{step('-only=all.*.large')}"
    small, large = map(bake_order, images(tmp_path, two(), steps))
    for order, name in ((small, "small"), (large, "large")):
        made = packer_template(order, SETTINGS.google, "us-central1-a")
        assert [(one["name"], one["sources"]) for one in made["build"]] == [("all", [f"source.googlecompute.{name}"])]
        request = build_request(order, SETTINGS.google, "us-central1-a", "x.tar.gz", "session-1")
        (bake,) = [one for one in request["steps"] if "build" in one["args"]]
        assert f"-only=all.*.{name}" in bake["args"]


def test_this_computers_packer_is_given_the_name_of_the_build(tmp_path: Path) -> None:
    text = two().replace('["echo ${source.name}"]', "[timestamp()]")
    (small, _) = images(tmp_path, text)
    rendering = render(bake_order(small), {"type": "null"}, Path("/w"))
    assert (rendering.hcl2, rendering.builder) == (True, "all.null.small")
    assert rendering.template["build"][0]["name"] == "all"


EACH = """variable "images" {
  type = list(object({ base = string, size = optional(number, 20), labels = map(string) }))
  default = [
    { base = "debian-12", labels = { of = "a" } },
    { base = "ubuntu-2204-lts", size = 30, labels = {} },
  ]
}
source "googlecompute" "image" {
  source_image_project_id = setunion([var.project_id], ["ubuntu-os-cloud", "debian-cloud"])
}
variable "project_id" {
  default = "mine"
}
build {
  dynamic "source" {
    for_each = var.images
    labels   = ["sources.googlecompute.image"]
    content {
      name                = "of-${source.key}"
      source_image_family = source.value.base
      image_family        = "app-${source.value.base}"
      disk_size           = source.value.size
      image_labels        = source.value.labels
      image_description   = "made at ${timestamp()} from ${source.value.base}"
    }
  }
  provisioner "shell" {
    inline = ["echo ${source.name}"]
  }
  provisioner "shell" {
    only   = ["googlecompute.of-1"]
    inline = ["echo second"]
  }
}
"""


def test_sources_that_a_build_makes_in_a_loop(tmp_path: Path) -> None:
    first, second = images(tmp_path / "1", EACH)
    assert [one.family for one in (first, second)] == ["app-debian-12", "app-ubuntu-2204-lts"]
    assert [one.base.project for one in (first, second)] == ["debian-cloud", "ubuntu-os-cloud"]
    assert [one.template["builders"][0]["disk_size"] for one in (first, second)] == [20, 30]
    said = [[entry["inline"] for entry in one.template["provisioners"]] for one in (first, second)]
    assert said == [[["echo of-0"]], [["echo of-1"], ["echo second"]]]
    changed = images(tmp_path / "2", EACH.replace("size = 30", "size = 31"))
    assert [one.digest == other.digest for one, other in zip((first, second), changed, strict=True)] == [True, False]
    options = packer_template(bake_order(first), SETTINGS.google, "us-central1-a")["source"]["googlecompute"]["of-0"]
    assert "source.value" not in str(options)
