"""The image that a family points at, for scripts: ``bakery image``."""

from collections.abc import Mapping
from typing import Any

from bakery.backends.base import Backend
from bakery.backends.promoted import copy_links, details
from bakery.errors import BakeryError
from bakery.library.base import Proof


def image(backend: Backend, family: str, project: str = "") -> dict[str, Any]:
    """Return what consumers can read about the family's image, see ``schemas/image.schema.json``.

    With ``project``, that is its copy there. Raises BakeryError if the family points at no image of the bakery, and
    Uncertain.
    """
    library = backend.existing_library()
    name = library.families().get(family, "") if library else ""
    record = library.find(name) if library and name else None
    if record is None or not record.digest:
        hint = "see: bakery library; a family gets an image by pulumi up"
        raise BakeryError(f"the family {family} points at no image", hint=hint)
    copy = copy_links(project, record.name) if project else {}
    if project and copied(backend, project).get(family) != name:
        hint = "see: bakery drift; pulumi up makes copies"
        raise BakeryError(f"the family {family} of the project {project} points at no copy of {name}", hint=hint)
    return {
        "family": family,
        "image": record.name,
        "digest": record.digest,
        "link": backend.image_link(record.name, record.digest),
        "package": record.package,
        "variant": record.variant,
        "tested": record.proof is Proof.PASSED,
        **details(backend, [record])[record.name],
        **copy,
    }


def copied(backend: Backend, project: str) -> Mapping[str, str]:
    """Map the families of another project to the images that they point at copies of. Raises BakeryError, Uncertain."""
    places = {one.project: one for one in backend.library().copies(())}
    if project not in places:
        raise BakeryError(f"there are no copies in the project {project}", hint="name one of google.copies")
    found = places[project].look()
    copies = {image.name for image in found.images}
    return {family: image for family, image in found.families.items() if image in copies}
