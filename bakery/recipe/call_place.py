"""Where calls of Packer run, and which template they name: both decide what a path of an HCL2 template means.

Source: Packer 1.6 to 1.15, ``hcl2template/parser.go`` (``Basedir``, ``GetHCL2Files``): ``path.root`` is the folder that
the call names, as it is written, or that of the file that it names. With a file, nothing beside it is read.
"""

import posixpath
from collections.abc import Mapping
from typing import NamedTuple

from bakery.recipe.model import BuildCalls
from bakery.recipe.substitutions import substitute
from bakery.recipe.templating import HCL2

WORKSPACE = "/workspace"  # where Cloud Build has the files of a build


class CallPlace(NamedTuple):
    """A call that runs in ``folder`` of the workspace and names its template there as ``argument``."""

    folder: str
    argument: str

    @property
    def root(self) -> str:
        """What ``path.root`` is."""
        if self.argument.endswith(HCL2):
            return posixpath.normpath(posixpath.dirname(self.argument) or ".")
        return self.argument

    def path(self, text: str, *, rooted: bool = True) -> str:
        """Return the workspace path of a path that begins at ``path.root``, or else where Packer runs.

        One that leads out of the workspace begins with ``..``, ``/`` or ``~``.
        """
        if text.startswith("~"):
            return text
        joined = posixpath.normpath(posixpath.join(WORKSPACE, self.folder, self.root if rooted else "", text))
        return posixpath.relpath(joined, WORKSPACE) if _is_below(joined) else joined


def place(calls: BuildCalls, values: Mapping[str, str], template: str) -> CallPlace | None:
    """Return where the calls run Packer; None if they differ, or if only the build knows it.

    ``values`` are the substitutions; without calls the bakery itself names the path ``template`` in the workspace.
    """
    found = [CallPlace(substitute(call.folder, values), substitute(call.argument, values)) for call in calls.calls]
    found = found or [CallPlace("", template)]
    if any("$" in text for one in found for text in one) or not all(one.argument for one in found):
        return None
    return found[0] if len({(one.path(""), one.path("", rooted=False)) for one in found}) == 1 else None


def _is_below(path: str) -> bool:
    return path == WORKSPACE or path.startswith(f"{WORKSPACE}/")
