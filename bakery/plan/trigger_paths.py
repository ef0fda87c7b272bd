"""Which paths of the repository can change an image: what its trigger watches."""

import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from bakery.plan.image_files import folders, uses_whole_package
from bakery.plan.model import ImagePlan, lineage
from bakery.recipe.model import SourceFile
from bakery.settings import Settings

# Of a package's own folder: the template, defaults and matrix. Tests are not baked into an image.
DECIDING = ("packer.json", "cloudbuild.yaml", "recipe.yaml")
HCL2 = ("*.pkr.hcl", "*.pkr.json", "*.pkrvars.hcl", "*.pkrvars.json", "cloudbuild.yaml", "recipe.yaml")


def watched(image: ImagePlan, images: Mapping[str, ImagePlan], settings: Settings) -> tuple[str, ...]:
    """Globs as Cloud Build's ``includedFiles`` takes them, from the top of the repository, sorted.

    These are the inputs of the digest of the image and of its ancestors (``images``, by family), and nothing else: a
    folder that is handed over as a whole is watched as a whole, so that a new file in it counts.
    """
    found = {_inside(settings.lock, settings), f"Pulumi.{settings.stack}.yaml"}
    for one in lineage(image, images):
        found.update(_own(one, settings))
    return tuple(sorted(path for path in found if path))


def previewed(settings: Settings) -> tuple[str, ...]:
    """Globs of all that can change the plan at all: what a pull request's preview watches."""
    trees = [_inside(path, settings) for path in (settings.packages, settings.common)]
    single = [_inside(settings.lock, settings), f"Pulumi.{settings.stack}.yaml"]
    return tuple(sorted([*(f"{path}/**" for path in trees if path), *(path for path in single if path)]))


def _own(image: ImagePlan, settings: Settings) -> Iterator[str]:
    package = _inside(image.folder, settings)
    extras = image.template.get("hcl2", {})
    files = ((extras["file"], *DECIDING[1:]) if "file" in extras else HCL2) if extras else DECIDING
    yield from (f"{package}/{name}" for name in (*files, *extras.get("read", ())) if package)
    if common := _inside(settings.common, settings):
        yield from (f"{common}/{name}" for name in extras.get("shared", ()))
    if packages := _inside(settings.packages, settings):
        yield from (f"{packages}/{name}" for name in extras.get("listed", ()))
    staged = posixpath.dirname(image.template_path)
    if uses_whole_package(image.template, image.variables, staged) and package:
        yield f"{package}/**"
        yield from _elsewhere(image, settings)
    handed = folders(image.template, image.variables, image.files, staged)
    for file in image.files:
        above = [path for path in handed if file.path.startswith(path + "/")]
        yield (_folder(file, min(above, key=len), settings) if above else "") or _inside(Path(file.source), settings)


def _elsewhere(image: ImagePlan, settings: Settings) -> Iterator[str]:
    """Yield the globs of the other folders below that of all packages which a tool may read."""
    for file in image.files:
        source = Path(file.source)
        if source.is_relative_to(settings.packages) and not source.is_relative_to(settings.common):
            top, *below = source.relative_to(settings.packages).parts
            if below and not source.is_relative_to(image.folder):
                yield f"{_inside(settings.packages / top, settings)}/**"


def _folder(file: SourceFile, handed: str, settings: Settings) -> str:
    """Return the glob of an uploaded folder at its path in the repository; "" if a link leads elsewhere."""
    source, below = _inside(Path(file.source), settings), file.path[len(handed) :]
    return f"{source.removesuffix(below)}/**" if source.endswith(below) else ""


def _inside(path: Path, settings: Settings) -> str:
    """Return the path in the repository of a path below the checkout; "" for one outside, which no push can change."""
    return path.relative_to(settings.root).as_posix() if path.is_relative_to(settings.root) else ""
