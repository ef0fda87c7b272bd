"""What a recipe downloads from the machine that bakes (``spack.lock``) is kept beside the image.

The template says what that is: its ``file`` provisioners with ``"direction": "download"``. Where they write to, the
workspace, is gone after the bake.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.plan.template import downloaded_paths
from bakery.recipe.model import Json


def keep(template: Json, variables: Mapping[str, str], workspace: Path, folder: Path) -> None:
    """Copy the files that were downloaded into ``folder``; what an earlier bake of the image left there goes.

    Raises InfrastructureFailed when they can't be written.
    """
    there = [workspace / path for path in downloaded_paths(template, variables) if (workspace / path).is_file()]
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for file in there:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / file.name)
    except OSError as error:
        raise InfrastructureFailed(f"{folder} can't be written: {error.strerror}", hint="is the disk full?") from error
