"""Which files of the workspace the steps of a build read, where the bakery can't follow them.

A shell that computes a value, or a program that prepares files, may read any file of the package.
"""

import posixpath
import re
from collections.abc import Mapping

from bakery.recipe.model import BuildCalls, Json
from bakery.recipe.packer_call import calls, shell_text, step_folder, steps
from bakery.recipe.parse.document import texts
from bakery.recipe.shell import commands, harmless
from bakery.recipe.substitutions import substitute

_PATH = re.compile(r"[\w.@+-]+(?:/[\w.@+-]+)*")
_WORKSPACE = re.compile(r"(?<![\w.@+-])/workspace/")
_READS = re.compile(r"\$\(|`|<")


def build_files(
    build: Json, called: BuildCalls, values: Mapping[str, str], package: str, common: str
) -> tuple[str, ...]:
    """Return workspace paths that the build's steps may read: the package and what is named; () if they read nothing.

    The package and the shared files are staged at the paths ``package`` and ``common``. Paths need not exist.
    """
    listed = steps(build) if called.whole else []
    reading = [listed[index] for index in called.whole if _reads(listed[index], build)]
    found = [package] if reading else []
    for step in reading:
        for text in texts(step):
            for word in paths_in(substitute(text, values)):
                found += [posixpath.normpath(word), posixpath.normpath(posixpath.join(step_folder(step), word))]
    if any(path == common or path.startswith(f"{common}/") for path in found):
        found.append(common)
    return tuple(dict.fromkeys(path for path in found if path != "."))


def paths_in(text: str) -> list[str]:
    """Return every word of a text that may be a path of the workspace, as commands name files."""
    return _PATH.findall(_WORKSPACE.sub("", text))


def _reads(step: Json, build: Json) -> bool:
    """Whether a step that counts as a whole may read files besides those that Packer reads."""
    text = shell_text(step, {})
    if text is None:
        return not list(calls(step, build))
    return bool(_READS.search(text)) or not all(map(harmless, commands(text)))
