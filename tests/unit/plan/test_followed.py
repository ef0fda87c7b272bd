"""Whenever what an oven is sent differs, the digest differs: templates and builds of all kinds, changed in one place.

The oracle does not know how digests are made. It renders what an oven sends, without names and places, and compares.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bakery.orders.model import bake_order
from bakery.ovens.cloud_build.request import FETCH, build_request, packer_template
from bakery.plan.model import ImagePlan
from bakery.plan.plan import make
from bakery.recipe.model import Recipe
from bakery.recipe.substitutions import substitute
from tests.support.plan_builders import LOCK, file, recipe, recipes, settings, template

GOOGLE = settings(oven="cloud-build", google={"project": "made-project", "region": "us-central1"}).google
FOLDER = "packages/app"
VALUES = st.sampled_from(["1.2.3", "9.9", "x", "", "a/b", "V2"])
# Values of -var: all ways of making one of a substitution.
WAYS = (
    "${_LEVEL}",
    "$_LEVEL",
    "v${_LEVEL//./-}",
    "${_LEVEL:-none}",
    "${_LEVEL%%.*}",
    "${_LEVEL//[0-9]/x}",
    "literal",
)
FLAGS = (["-var"], ["--var"])
SHELLS = (
    'L="${_LEVEL}"; packer build -var "level=$${L}" packages/app/packer.json',
    "packer build -var level=$$(echo ${_LEVEL}) packages/app/packer.json",
    "echo ${_LEVEL} >packages/app/install.sh; packer build packages/app/packer.json",
    "packer build -var level=${_LEVEL} packages/app/packer.json",
)
TEXTS = (
    "{{user `level`}}",
    "{{- user `level` | upper -}}",
    "{{user (printf `level`)}}",
    "{{user `chained`}}",
    "{{user `passed`}}",
    "plain",
)
ENTRIES: tuple[dict[str, Any], ...] = (
    {"type": "ansible", "playbook_file": f"{FOLDER}/tool/site.yml"},
    {"type": "shell-local", "command": "make"},
    {"type": "file", "source": "{{template_dir}}/share", "destination": "/tmp/"},
    {"type": "file", "source": "{{user `level` | lower}}/x", "destination": "/tmp/"},
    {"type": "shell", "script": "{{ user `pkg_path` }}/tool/site.yml", "only": ["googlecompute"]},
    {"type": "shell", "inline": ["true"], "override": {"googlecompute": {"inline": ["{{user `level`}}"]}}},
)


@st.composite
def steps(draw: st.DrawFn) -> list[dict[str, Any]]:
    before = draw(st.sampled_from([[], [{"name": "bash", "args": ["-c", "echo $_LEVEL >packages/app/share/motd"]}]]))
    if draw(st.booleans()):
        text = draw(st.sampled_from(SHELLS))
        return [*before, {"name": "hashicorp/packer", "entrypoint": "sh", "args": ["-c", text]}]
    flag, way = draw(st.sampled_from(FLAGS)), draw(st.sampled_from(WAYS))
    words = [*flag, f"level={way}", *flag, "passed=$_PASSED", *flag, "image_name=${_IMAGE_NAME}"]
    return [*before, {"name": "hashicorp/packer", "args": ["build", *words, f"{FOLDER}/packer.json"]}]


@st.composite
def made(draw: st.DrawFn) -> Recipe:
    body = template()
    body["variables"] |= {
        "level": draw(VALUES),
        "chained": "<{{user `level`}}>",
        "pkg_path": FOLDER,
        "image_family": "app",
    }
    body["variables"] |= {"source_image_family": "debian-12", "source_image_project": "debian-cloud"}
    body["provisioners"] += draw(st.lists(st.sampled_from(ENTRIES), max_size=2))
    body["provisioners"].append({"type": "shell", "inline": [draw(st.sampled_from(TEXTS))]})
    body["builders"][0] |= draw(st.sampled_from([{}, {"metadata": {"x": "{{user `level`}}"}}, {"brand_new": "1"}]))
    body |= draw(st.sampled_from([{}, {"post-processors": [{"type": "shell-local", "inline": ["{{user `level`}}"]}]}]))
    values = {"_LEVEL": draw(VALUES), "_PASSED": draw(VALUES), "_IMAGE_NAME": "app", "_IMAGE_FAMILY": "app"}
    files = tuple(file(f"{FOLDER}/{name}") for name in ("install.sh", "share/motd", "tool/site.yml", "tool/roles/a"))
    build = {"steps": draw(steps()), "substitutions": values, "options": {"dynamicSubstitutions": True}}
    return replace(recipe(template=body, files=files), build=build, substitutions=values)


def changed(draw: st.DrawFn, one: Recipe) -> Recipe:
    """The recipe with one change of a value, a file, a step or the template."""
    other = copy.deepcopy(one)
    what = draw(st.sampled_from(["_LEVEL", "_PASSED", "file", "variable", "steps", "text", "option"]))
    if what.startswith("_"):
        values = {**other.substitutions, what: draw(VALUES)}
        return replace(other, substitutions=values, build={**other.build, "substitutions": values})
    if what == "file":
        path = draw(st.sampled_from([entry.path for entry in other.files]))
        new = tuple(replace(entry, sha256="e" * 64) if entry.path == path else entry for entry in other.files)
        return replace(other, files=new)
    if what == "steps":
        return replace(other, build={**other.build, "steps": draw(steps())})
    if what == "variable":
        other.template["variables"]["level"] = draw(VALUES)
    elif what == "text":
        other.template["provisioners"][-1]["inline"] = [draw(st.sampled_from(TEXTS))]
    else:
        other.template["builders"][0]["brand_new"] = draw(VALUES)
    return other


def planned(one: Recipe) -> ImagePlan:
    (image,) = make(settings(), recipes(one), LOCK).images
    return image


def sent(image: ImagePlan) -> str:
    """What both ovens send, without names: staged files, the rendered template, the steps with all filled in."""
    order = bake_order(image)
    request = build_request(order, GOOGLE, "zone", "source", "session")
    filled = {name: text for name, text in request["substitutions"].items() if name.startswith("_")}
    body = packer_template(order, GOOGLE, "zone")
    values: Mapping[str, str] = {**body["variables"]}
    shells = [step["args"] for step in request["steps"] if step.get("id") != FETCH and "-c" in step["args"]]
    computing = [args for args in shells if "$$" in str(args) or ">" in str(args)]
    parts = [
        [[entry.path, entry.mode, entry.sha256] for entry in image.files],
        {key: value for key, value in body.items() if key not in ("builders", "variables")},
        [{k: v for k, v in entry.items() if k not in ("image_description",)} for entry in body["builders"]],
        {name: text for name, text in values.items() if f"`{name}`" in json.dumps(body["provisioners"])},
        substitute(json.dumps(computing), filled),
    ]
    return re.sub(rf"{image.name}|{image.digest[:32]}", "NAME", json.dumps(parts, sort_keys=True))


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(made(), st.data())
def test_what_is_sent_decides_the_digest(one: Recipe, data: st.DataObject) -> None:
    other = changed(data.draw, one)
    before, after = planned(one), planned(other)
    assert before.digest != after.digest or sent(before) == sent(after)
