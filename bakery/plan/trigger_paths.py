"""Which paths of the repository can change an image: what its trigger watches."""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bakery.plan.image_files import folders, uses_whole_package
from bakery.plan.model import ImagePlan, lineage
from bakery.recipe.model import SourceFile
from bakery.settings import Settings

# Of a package's own folder: the template, defaults and matrix. Tests are not baked into an image.
DECIDING = ("packer.json", "cloudbuild.yaml", "recipe.yaml")
HCL2 = ("*.pkr.hcl", "*.pkr.json", "*.pkrvars.hcl", "*.pkrvars.json", "cloudbuild.yaml", "recipe.yaml")

PathIn = Callable[[Path], str]  # the path in the repository of a path or glob; "" outside, which no push can change


def watched(image: ImagePlan, images: Mapping[str, ImagePlan], settings: Settings, path_in: PathIn) -> tuple[str, ...]:
    """Globs as Cloud Build's ``includedFiles`` takes them, from the top of the repository, sorted.

    These are the inputs of the digest of the image and of its ancestors (``images``, by family), and nothing else: a
    folder that is handed over as a whole is watched as a whole, so that a new file in it counts.
    """
    found = set(_stack(settings))
    for one in lineage(image, images):
        found.update(_own(one, settings, path_in))
    return _globs(found, path_in)


def previewed(settings: Settings, path_in: PathIn) -> tuple[str, ...]:
    """Globs of all that can change the plan at all: what a pull request's preview watches."""
    return _globs({settings.packages / "**", settings.common / "**", *_stack(settings)}, path_in)


def _globs(paths: set[Path], path_in: PathIn) -> tuple[str, ...]:
    return tuple(sorted({glob for path in paths if (glob := path_in(path))}))


def _stack(settings: Settings) -> tuple[Path, ...]:
    return settings.lock, settings.source or settings.root / settings.file


def _own(image: ImagePlan, settings: Settings, path_in: PathIn) -> Iterator[Path]:
    extras = image.template.get("hcl2", {})
    files = ((extras["file"], *DECIDING[1:]) if "file" in extras else HCL2) if extras else DECIDING
    yield from (image.folder / name for name in (*files, *extras.get("read", ())))
    yield from (settings.common / name for name in extras.get("shared", ()))
    yield from (settings.packages / name for name in extras.get("listed", ()))
    staged = posixpath.dirname(image.template_path)
    if uses_whole_package(image.template, image.variables, staged) and path_in(image.folder):
        yield image.folder / "**"
        yield from _elsewhere(image, settings)
    handed = folders(image.template, image.variables, image.files, staged)
    for file in image.files:
        above = [path for path in handed if file.path.startswith(path + "/")]
        yield (_folder(file, min(above, key=len)) if above else None) or Path(file.source)


def _elsewhere(image: ImagePlan, settings: Settings) -> Iterator[Path]:
    """Yield the globs of the other folders below that of all packages which a tool may read."""
    for file in image.files:
        source = Path(file.source)
        if source.is_relative_to(settings.packages) and not source.is_relative_to(settings.common):
            top, *below = source.relative_to(settings.packages).parts
            if below and not source.is_relative_to(image.folder):
                yield settings.packages / top / "**"


def _folder(file: SourceFile, handed: str) -> Path | None:
    """Return the glob of an uploaded folder at its own path; None if a link leads elsewhere."""
    source, below = Path(file.source).as_posix(), file.path[len(handed) :]
    return Path(source.removesuffix(below), "**") if source.endswith(below) else None
