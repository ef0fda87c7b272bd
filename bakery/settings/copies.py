"""Copies of promoted images in other Google Cloud projects.

A family of another project is written ``<family>@<project>``: it is one more family of the library, which follows the
family of the same name. Its images are copies, which have the names of the originals.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from bakery.settings.reader import Reader

EVERY = ("*",)
ROLE = "bakeryCopier"  # that the account needs in the other project, see bakery.infrastructure.grants


class Copies(NamedTuple):
    """The families and channels (patterns) whose images are copied into a project.

    Without ``storage_location`` and ``kms_key`` they are those of the library's own project.
    """

    families: tuple[str, ...] = EVERY
    storage_location: str = ""
    kms_key: str = ""

    def wants(self, family: str) -> bool:
        """Return whether the images of the family are copied."""
        return any(fnmatchcase(family, pattern) for pattern in self.families)


def address(family: str, project: str) -> str:
    """Return the name of a family of another project."""
    return f"{family}@{project}"


def family_and_project(name: str) -> tuple[str, str]:
    """Return the family and the project of a name; the project is empty for a family of the library's own project."""
    family, _, project = name.partition("@")
    return family, project


def read(google: Reader, forms: Mapping[str, tuple[str, str]]) -> Mapping[str, Copies]:
    """Return what is copied into which project; ``forms`` are those of the values below ``google``."""
    group = google.group("copies")
    return {project: _read(group, google.text("project"), project, forms) for project in group.values}


def _read(group: Reader, own: str, project: str, forms: Mapping[str, tuple[str, str]]) -> Copies:
    reader = group.group(project)
    form, hint = forms["project"]
    if project == own:
        group.wrong(
            project, "is google.project", "name another project; google.storageLocation says where images are stored"
        )
    elif not re.fullmatch(form, project):
        group.wrong(project, "is not a project", f"write {hint}")
    for key in ("storageLocation", "kmsKey"):
        form, hint = forms[key]
        if (value := reader.text(key)) and not re.fullmatch(form, value):
            reader.wrong(key, f"is {value!r}", f"write {hint}")
    found = Copies(reader.words("families", least=1) or EVERY, reader.text("storageLocation"), reader.text("kmsKey"))
    reader.done()
    return found
