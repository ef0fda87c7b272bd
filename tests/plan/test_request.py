from __future__ import annotations

import json
from typing import Any

from bakery.plan.order import bake_order
from bakery.plan.plan import make
from bakery.plan.request import build_request
from bakery.recipe.model import Variant
from tests.plan.builders import LOCK, build, recipe, recipes, settings


def request(**changes: Any) -> tuple[dict[str, Any], Any]:
    (image,) = make(settings(), recipes(recipe(**changes)), LOCK).images
    return build_request(bake_order(image)), image


def variables(step: dict[str, Any]) -> dict[str, str]:
    words = step["args"]
    pairs = [words[index + 1] for index, word in enumerate(words) if word == "-var"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_never_force_and_always_immutable_names() -> None:
    made, image = request()
    assert "-force" not in json.dumps(made)
    (step,) = made["steps"]
    assert variables(step)["image_name"] == image.name
    assert made["substitutions"]["_IMAGE_NAME"] == image.name
    assert "latest" not in json.dumps({**made, "steps": [{**step, "name": ""}]})


def test_the_steps_own_fields_and_the_timeout_stay() -> None:
    made, image = request()
    (step,) = made["steps"]
    assert (step["id"], step["name"]) == ("Build Image", "hashicorp/packer:latest")
    assert step["args"][-1] == image.template_path == "packages/app/packer.json"
    assert made["timeout"] == "3600s"
    assert f"bakery-digest-{image.digest[:32]}" in made["tags"]


def test_tests_after_the_bake_are_left_out_and_steps_before_it_stay() -> None:
    given = build(_COMPILER="gcc")
    given["steps"] = [{"id": "get"}, *given["steps"], {"id": "test", "name": "gcr.io/x/fluid-run"}]
    made, _ = request(build=given)
    assert [step["id"] for step in made["steps"]] == ["get", "Build Image"]


def test_a_shells_packer_becomes_packer() -> None:
    values = {"source_image_family": "debian-12", "source_image_project": "debian-cloud", "image_family": "app"}
    words = " ".join(f"-var {key}={value}" for key, value in values.items())
    script = f"packer build -force -on-error=abort {words} packer.json"
    made, _ = request(build={"steps": [{"name": "p", "entrypoint": "bash", "args": ["-c", script]}]})
    (step,) = made["steps"]
    assert step["entrypoint"] == "packer"
    assert step["args"][:2] == ["build", "-on-error=abort"]
    assert "-force" not in step["args"]


def test_a_variants_variable_reaches_packer_and_dollars_are_kept() -> None:
    made, _ = request(variants=(Variant("a", {"_COMPILER": "c$x"}),))
    assert variables(made["steps"][0])["compiler"] == "c$$x"


def test_the_recipe_is_not_changed() -> None:
    given = build(_COMPILER="gcc")
    before = json.dumps(given)
    request(build=given)
    assert json.dumps(given) == before
