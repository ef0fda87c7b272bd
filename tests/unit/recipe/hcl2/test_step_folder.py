"""A step with ``dir`` names files of an HCL2 template from there."""

from __future__ import annotations

from pathlib import Path

from tests.support import hcl2_tree, recipe_tree

BUILD = "steps:\n- name: hashicorp/packer\n  dir: packages/app\n  args: [build, .]\n"


def test_paths_of_every_source_begin_at_the_template(tmp_path: Path) -> None:
    text = """source "googlecompute" "two" {
  image_family        = "two"
  source_image_family = "debian-12"
  ssh_username        = "packer"
  zone                = "z"
  project_id          = "p"
}
build {
  sources = ["googlecompute.app", "googlecompute.two"]
  provisioner "shell" { script = "install.sh" }
  provisioner "shell" { script = "${path.root}/install.sh" }
}
"""
    given = {"more.pkr.hcl": text, "app.pkr.hcl": hcl2_tree.SOURCE, "cloudbuild.yaml": BUILD}
    recipe_tree.write(tmp_path, hcl2_tree.changed(given))
    loaded = recipe_tree.loaded(tmp_path)
    (recipe,) = loaded.recipes
    templates = [recipe.template, *recipe.template["hcl2"]["others"]]
    scripts = [[step["script"] for step in one["provisioners"]] for one in templates]
    assert scripts == [["{{template_dir}}/install.sh"] * 2] * 2
