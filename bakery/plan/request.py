"""The Cloud Build request of an image: the recipe's own steps, with the plan's names, and never ``-force``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bakery.ovens.base import BakeOrder
from bakery.plan.expand import Point
from bakery.plan.names import DIGEST_LABEL, FAMILY_LABEL
from bakery.plan.render import arguments, is_packer, only_reference
from bakery.plan.template import builder
from bakery.recipe.model import Json

FORCE = frozenset({"-force", "--force", "-force=true", "--force=true"})
TAG_LENGTH = 128


def forced(point: Point, name: str) -> tuple[dict[str, str], dict[str, str]]:
    """Variables and substitutions with the plan's immutable names in them, wherever the recipe sets names."""
    options = builder(point.recipe.template)
    values = {
        only_reference(options.get("image_name")): name,
        only_reference(options.get("image_family")): point.node.family,
    }
    values.pop("", None)
    subs = dict(point.substitutions)
    for variable, value in values.items():
        key = point.arguments.get(variable, "").strip("${}")
        if key in subs:
            subs[key] = value
    return {**point.variables, **values}, subs


def build_request(order: BakeOrder) -> dict[str, Any]:
    """The build as ``projects.builds.create`` takes it, without source, service account and log bucket.

    Steps after the last one that runs Packer are left out: tests are a Fluid-Run of their own. Packer's arguments
    are written out, so that the request says what is baked; all other steps keep their substitutions.
    """
    steps = list(order.build.get("steps") or []) if isinstance(order.build, Mapping) else []
    last = max((index for index, step in enumerate(steps) if is_packer(step)), default=-1)
    made = [_step(step, order) for step in steps[: last + 1]]
    options = dict(order.build.get("options") or {}) if isinstance(order.build, Mapping) else {}
    return {
        "steps": made,
        "substitutions": dict(order.substitutions),
        # Packer's arguments are written out, so most substitutions are not used any more.
        "options": {**options, "substitutionOption": "ALLOW_LOOSE"},
        "timeout": f"{order.timeout}s",
        "tags": [
            f"{key}-{order.labels[key]}"[:TAG_LENGTH] for key in (DIGEST_LABEL, FAMILY_LABEL) if key in order.labels
        ],
    }


def _step(step: Json, order: BakeOrder) -> Json:
    if not is_packer(step):
        return step
    words = arguments(step)
    start = words.index("build")
    tools = words[:start] if words[:start] and step.get("entrypoint") is None else []
    variables = [
        part for name, value in sorted(order.variables.items()) for part in ("-var", f"{name}={_literal(value)}")
    ]
    kept = {key: value for key, value in step.items() if key not in ("args", "script")}
    if step.get("entrypoint") in ("bash", "sh", "/bin/bash", "/bin/sh"):
        kept["entrypoint"] = "packer"
    return {**kept, "args": [*_tools(tools), "build", *_flags(words[start + 1 :]), *variables, order.template_path]}


def _tools(words: list[str]) -> list[str]:
    return [word for word in words if word not in ("packer", "-c")]


def _flags(words: list[str]) -> list[str]:
    """Packer's other options; ``-var``, ``-force`` and the template are ours."""
    kept = []
    follows = False
    for word in words:
        if (
            not follows
            and word != "-var"
            and word.startswith("-")
            and not word.startswith("-var=")
            and word not in FORCE
        ):
            kept.append(word)
        follows = not follows and word == "-var"
    return kept


def _literal(text: str) -> str:
    """A value that Cloud Build leaves as it is: it reads ``$$`` as one dollar sign."""
    return text.replace("$", "$$")
