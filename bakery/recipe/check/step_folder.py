"""A step of a build that runs Packer in another folder than the workspace (``dir``, ``cd``).

What the template names by a path from there is named from the template's own folder instead, where every reader, this
computer and Cloud Build find it.
"""

import posixpath
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from bakery.recipe.check.packer_template import named
from bakery.recipe.model import BuildCalls
from bakery.recipe.packer_call import TEMPLATES
from bakery.recipe.parse import Document, Where
from bakery.recipe.substitutions import substitute

_ELSEWHERE = ("{{", "$", "/", "~")  # how a path begins that does not begin in that folder, or perhaps not


def from_template(
    template: Document, calls: BuildCalls, values: Mapping[str, str], exists: Callable[[str], bool]
) -> Document:
    """Return the template with the paths from its own folder that it has from the folder of its step.

    ``values`` are the substitutions, ``exists`` takes a path of the workspace. A path to nothing is kept.
    """
    places = {(call.folder, call.template) for call in calls.calls if call.template}
    folder, file = (substitute(text, values) for text in next(iter(places), ("", "")))
    if len(places) != 1 or posixpath.normpath(folder or ".") == ".":
        return template
    home = posixpath.dirname(file) if file.endswith(TEMPLATES) else file
    above = posixpath.relpath(folder, home or ".")
    root = "{{template_dir}}" if above == "." else "{{template_dir}}/" + above
    value = deepcopy(template.value)
    for where, text in named(template):
        here = isinstance(text, str) and text and not text.startswith(_ELSEWHERE)
        if here and exists(posixpath.normpath(posixpath.join(folder, text))):
            _put(value, where, posixpath.join(root, text))
    return replace(template, value=value)


def _put(value: Any, where: Where, text: str) -> None:
    *above, key = where
    for part in above:
        value = value[part]
    value[key] = text
