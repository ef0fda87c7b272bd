"""Packer variables and Cloud Build substitutions, filled in as the two programs do it.

Sources: Cloud Build, "Substituting variable values" (``$NAME``, ``${NAME}``, ``$$`` for a dollar sign, user-defined
names begin with ``_``); Packer's JSON templates, "User variables" and "Command line: -var".
"""

import re
from collections.abc import Collection, Mapping
from typing import Any

from bakery.recipe import expressions
from bakery.recipe.expressions import fill
from bakery.recipe.model import Json
from bakery.recipe.packer_call import calls, steps
from bakery.recipe.parse.document import texts
from bakery.recipe.shell import shell_words
from bakery.recipe.substitutions import UNDEFINED, substitute, substitutions_in

_WORKSPACE = re.compile(r"^\$\{?WORKSPACE\}?/")
FAMILY = "_IMAGE_FAMILY"
SOURCE_FAMILY = "_SOURCE_IMAGE_FAMILY"
SOURCE_PROJECT = "_SOURCE_IMAGE_PROJECT"
HCL2 = (".pkr.hcl", ".pkr.json")  # how the names of the files of an HCL2 template end
HCL2_VALUES = (".auto.pkrvars.hcl", ".auto.pkrvars.json")  # and of those that Packer reads beside them
GOOGLE_BUILDER = "googlecompute"  # the type of the builder that makes images of Compute Engine
BAKED = (GOOGLE_BUILDER, "qemu")  # the types of builders that are baked; the first wins
NOT_FOLLOWED = "{{hcl "  # in a template model, before an expression of HCL2 that only Packer can evaluate


def references(value: Json) -> set[str]:
    """Return the user variables that a part of a template refers to; ``ALL`` among them stands for every variable."""
    return {name for text in texts(value) if "{{" in text for name in expressions.reference_list(text)}


def only_reference(value: Json) -> str:
    """Return the variable that a template's value consists of; "" if it is not exactly one."""
    return expressions.only_reference(value) if isinstance(value, str) else ""


def resolve(
    variables: Mapping[str, str], functions: Mapping[str, expressions.Function] | None = None
) -> dict[str, str]:
    """Return variables whose values may refer to other variables, filled in; a loop stays as text.

    ``functions`` as in :func:`bakery.recipe.expressions.fill`.
    """
    done = {name: text for name, text in variables.items() if "{{" not in text}
    left = {name: text for name, text in variables.items() if name not in done}
    while left:
        ready = [name for name, text in left.items() if not left.keys() & expressions.references(text)]
        for name in ready or list(left):
            done[name] = fill(left.pop(name), done, functions)
    return {name: done[name] for name in variables}


def environment(values: Mapping[str, str], secrets: Collection[str]) -> dict[str, expressions.Function]:
    """Return ``{{env `NAME`}}`` for an environment: a name that it does not have is empty, as in Packer.

    The value of a secret is only known in the build.
    """

    def env(name: str) -> str:
        if name in secrets:
            raise KeyError(name)
        return values.get(name, "")

    return {"env": env}


def is_packer(step: Json) -> bool:
    """Whether a step of ``cloudbuild.yaml`` runs ``packer build``."""
    return any(True for _ in calls(step))


def arguments(step: Json) -> list[str]:
    """Return the words of a step's command; a shell's script is split into its words."""
    if not isinstance(step, Mapping):
        return []
    given = step.get("args") or []
    words = [str(word) for word in given] if isinstance(given, list) else shell_words(str(given))
    words += shell_words(step["script"]) if isinstance(step.get("script"), str) else []
    return [part for word in words for part in (shell_words(word) if "packer build" in word else [word])]


def packer_arguments(build: Json) -> dict[str, str]:
    """Variable to unfilled value, from the ``-var name=value`` arguments of all steps that run Packer."""
    return {name: text for step in steps(build) for call in calls(step, build) for name, text in call.variables.items()}


def settable(
    template: Json, defaults: Mapping[str, str], arguments: Mapping[str, str], direct: Mapping[str, str]
) -> Collection[str]:
    """Return the variables that a bake may set: the declared ones and, if others are given, those that are used."""
    if arguments.keys() <= defaults.keys() and not direct:
        return defaults.keys()
    return defaults.keys() | references(template)


def passed(
    arguments: Mapping[str, str],
    substitutions: Mapping[str, str],
    variables: Collection[str],
    direct: Mapping[str, str],
) -> dict[str, str]:
    """Return those of the ``variables`` (declared ones, and others that are used) that a bake sets, not resolved yet.

    These are the ``arguments`` whose substitutions are all defined. An argument with an undefined one keeps the
    template's default, and the recipe's checks warn about it. A variant's own substitutions (``direct``) that no
    argument uses set the variables of the same name.
    """
    filled = {name: substitute(text, substitutions) for name, text in arguments.items() if name in variables}
    made = {name: text for name, text in filled.items() if not UNDEFINED.search(text)}
    used = {key for text in arguments.values() for key in substitutions_in(text)} if direct else set()
    own = {key.removeprefix("_").lower(): text for key, text in direct.items() if key not in used}
    return made | {name: text for name, text in own.items() if name in variables}


def in_workspace(path: str) -> str:
    """Return a job's path without ``$WORKSPACE/``, its working directory."""
    return _WORKSPACE.sub("", path)


def declared(template: Json) -> dict[str, str]:
    """Return the template's variables with their defaults; one without a default (``null``) is ""."""
    given: dict[str, Any] = template.get("variables") or {}
    return {
        name: value if isinstance(value, str) else "" if value is None else scalar(value)
        for name, value in given.items()
    }


def builder_name(options: Mapping[str, Json]) -> str:
    """Return the name that ``only``, ``except`` and ``override`` know a builder by; variables in it are kept."""
    return str(options.get("name") or options.get("type") or "")


def file_name(template: Json) -> str:
    """Return the name of the file in which a template is baked: HCL2's is written as one file."""
    return "bakery.pkr.json" if "hcl2" in template else "packer.json"


def scalar(value: Json) -> str:
    """Return the text of a number, a boolean or a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)
