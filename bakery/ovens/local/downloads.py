"""Keeps the files that a recipe downloads from the machine that bakes (``spack.lock``) with the image.

They are named by the template's ``file`` provisioners with ``"direction": "download"``, which write to the workspace,
a folder that is deleted after the bake.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.plan.template import downloaded_paths
from bakery.recipe.model import Json


def keep(template: Json, variables: Mapping[str, str], workspace: Path, folder: Path) -> None:
    """Copy the downloaded files into ``folder``, in place of those of an earlier bake of the image.

    Raises InfrastructureFailed if they can't be written.
    """
    downloaded = [workspace / path for path in downloaded_paths(template, variables) if (workspace / path).is_file()]
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for file in downloaded:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / file.name)
    except OSError as error:
        raise InfrastructureFailed(
            f"{folder} can't be written: {error.strerror}", hint="check the free space of the disk"
        ) from error
