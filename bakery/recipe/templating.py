"""Packer variables and Cloud Build substitutions, filled in as the two programs do it.

Sources: Cloud Build, "Substituting variable values" (``$NAME``, ``${NAME}``, ``$$`` for a dollar sign, user-defined
names begin with ``_``); Packer's JSON templates, "User variables" and "Command line: -var".
"""

import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bakery.recipe.model import Json
from bakery.recipe.parse.document import strings

SUBSTITUTION = re.compile(r"\$\$|\$\{([A-Z_][A-Z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)")
REFERENCE = re.compile(r"""\buser\s+[`"]([^`"]+)[`"]""")
_EXPRESSION = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
_SIMPLE = re.compile(r"""\{\{\s*user\s+[`"]([^`"]+)[`"]\s*\}\}""")
_UNDEFINED = re.compile(r"\$\{?_[A-Z]")
_SHELL = frozenset("'\"\\#")  # without these characters, words are what is between blanks
_WORKSPACE = re.compile(r"^\$\{?WORKSPACE\}?/")
FAMILY = "_IMAGE_FAMILY"
SOURCE_FAMILY = "_SOURCE_IMAGE_FAMILY"
HCL2 = (".pkr.hcl", ".pkr.json")  # how the names of the files of an HCL2 template end
NOT_FOLLOWED = "{{hcl "  # in a template model, before an expression of HCL2 that only Packer can evaluate
DEPTH = 8  # of variables in variables' defaults, and of dynamic substitutions


def substitute(text: str, values: Mapping[str, str], *, last: bool = False) -> str:
    """``text`` with Cloud Build's substitutions filled in; names without a value stay as they are.

    ``$$`` is kept for a later pass unless this is the ``last`` one.
    """

    def filled(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name is None:
            return "$" if last else "$$"
        return values.get(name, match[0])

    return SUBSTITUTION.sub(filled, text) if "$" in text else text


def substitutions_in(text: str) -> list[str]:
    """Return the names of the substitutions that a text uses."""
    return [match[1] or match[2] for match in SUBSTITUTION.finditer(text) if match[0] != "$$"] if "$" in text else []


def dynamic(build: Json, values: Mapping[str, str]) -> dict[str, str]:
    """Return the substitutions of the build: with ``dynamicSubstitutions``, those in their values are replaced.

    A loop stays as text.
    """
    options = build.get("options") if isinstance(build, Mapping) else None
    enabled = isinstance(options, Mapping) and options.get("dynamicSubstitutions")
    return _filled(values, substitute) if enabled else dict(values)


def _filled(values: Mapping[str, str], fill: Callable[[str, Mapping[str, str]], str]) -> dict[str, str]:
    """Return the values, each filled with the others until nothing changes."""
    done = dict(values)
    for _ in range(DEPTH):
        before, done = done, {key: fill(text, done) for key, text in done.items()}
        if before == done:
            break
    return done


def references(value: Json) -> set[str]:
    """Return the user variables that a part of a template refers to."""
    found: set[str] = set()
    for _, text in strings(value):
        for expression in _EXPRESSION.findall(text) if "{{" in text else ():
            found.update(REFERENCE.findall(expression))
    return found


def only_reference(value: Json) -> str:
    """Return the variable that a template's value consists of; "" if it is not exactly one."""
    match = _SIMPLE.fullmatch(value.strip()) if isinstance(value, str) else None
    return match[1] if match else ""


def fill(text: str, variables: Mapping[str, str]) -> str:
    """Return ``text`` with ``{{user `x`}}`` filled in; unknown variables are kept."""
    return _SIMPLE.sub(lambda match: variables.get(match[1], match[0]), text) if "{{" in text else text


def resolve(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables whose values may refer to other variables, filled in; a loop stays as text."""
    return _filled(variables, fill)


def is_packer(step: Json) -> bool:
    """Whether a step of ``cloudbuild.yaml`` runs ``packer build``."""
    return _builds(arguments(step))


def _builds(words: Sequence[str]) -> bool:
    return "build" in words and any(word.endswith(("packer.json", *HCL2)) or word == "-var" for word in words)


def arguments(step: Json) -> list[str]:
    """Return the words of a step's command; a shell's script is split into its words."""
    if not isinstance(step, Mapping):
        return []
    given = step.get("args") or []
    words = [str(word) for word in given] if isinstance(given, list) else shell_words(str(given), comments=True)
    words += shell_words(step["script"], comments=True) if isinstance(step.get("script"), str) else []
    return [part for word in words for part in (shell_words(word, comments=True) if "packer build" in word else [word])]


def shell_words(text: str, *, comments: bool = False) -> list[str]:
    """Return the words of a command as a shell splits them."""
    if _SHELL.isdisjoint(text):
        return text.split()
    try:
        return shlex.split(text, comments=comments)
    except ValueError:  # an unclosed quote: the recipe's checks say so, here it is no argument
        return text.split()


def packer_arguments(build: Json) -> dict[str, str]:
    """Variable to unfilled value, from the ``-var name=value`` arguments of the steps that run Packer."""
    found: dict[str, str] = {}
    steps = build.get("steps") if isinstance(build, Mapping) else None
    for step in steps if isinstance(steps, list) else []:
        words = arguments(step)
        if _builds(words):
            found.update(_pairs(words))
    return found


def _pairs(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    follows = False
    for word in words:
        text = word if follows else word.removeprefix("-var=") if word.startswith("-var=") else ""
        follows = not follows and word == "-var"
        name, equals, value = text.partition("=")
        if equals:
            yield name.strip(), value


def passed(
    arguments: Mapping[str, str],
    substitutions: Mapping[str, str],
    variables: Mapping[str, str],
    direct: Mapping[str, str],
) -> dict[str, str]:
    """Return the declared ``variables`` that a bake sets, not resolved yet.

    These are the ``arguments`` whose substitutions are all defined. An argument with an undefined one keeps the
    template's default, and the recipe's checks warn about it. A variant's own substitutions (``direct``) that no
    argument uses set the variables of the same name.
    """
    filled = {name: substitute(text, substitutions) for name, text in arguments.items() if name in variables}
    made = {name: text for name, text in filled.items() if not _UNDEFINED.search(text)}
    used = {key for text in arguments.values() for key in substitutions_in(text)} if direct else set()
    own = {key.removeprefix("_").lower(): text for key, text in direct.items() if key not in used}
    return made | {name: text for name, text in own.items() if name in variables}


def in_workspace(path: str) -> str:
    """Return a job's path without ``$WORKSPACE/``, its working directory."""
    return _WORKSPACE.sub("", path)


def declared(template: Json) -> dict[str, str]:
    """Return the template's variables with their defaults; one without a default (``null``) is ""."""
    given: dict[str, Any] = template.get("variables") or {}
    return {str(name): "" if value is None else scalar(value) for name, value in given.items()}


def file_name(template: Json) -> str:
    """Return the name of the file in which a template is baked: HCL2's is written as one file."""
    return "bakery.pkr.json" if "hcl2" in template else "packer.json"


def scalar(value: Json) -> str:
    """Return the text of a number, a boolean or a string."""
    return str(value).lower() if isinstance(value, bool) else str(value)
