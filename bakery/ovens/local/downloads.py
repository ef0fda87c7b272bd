"""What a bake brings back from its machine."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from bakery.errors import InfrastructureFailed
from bakery.plan.template import downloaded_paths
from bakery.recipe.model import Json


def keep_downloads(template: Json, variables: Mapping[str, str], workspace: Path, folder: Path) -> None:
    """Copy the files that a recipe downloads from the machine (``spack.lock``) from the workspace into ``folder``.

    They replace those of an earlier bake of the image. Raises InfrastructureFailed if they can't be written.
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
