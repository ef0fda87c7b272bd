"""``--gce-image``: a link, a path or a name, of an image or of a family; looked up once."""

import re

from google.api_core import exceptions

from bakery.errors import BakeryError, Problem
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors
from bakery.library.base import ImageRecord
from bakery.rcc_run.arguments import WHERE

_IMAGE = re.compile(
    r"(?:https://(?:www|compute)\.googleapis\.com/compute/(?:v1|beta)/)?"
    r"(?:(?:projects/(?P<project>[a-z0-9.:-]+)/)?(?:global/)?images/)?(?P<family>family/)?(?P<name>[a-z][-a-z0-9]{0,62})"
)


def look_up(text: str, google: Google) -> ImageRecord | Problem:
    """Return the image, or the newest one of a family; a Problem if it does not exist. Raises Uncertain."""
    match = _IMAGE.fullmatch(text)
    if match is None:
        hint = "write projects/PROJECT/global/images/NAME, or .../images/family/FAMILY"
        return Problem(WHERE, 1, f"--gce-image is {text!r}", hint)
    project = match["project"] or google.project
    try:
        with api_errors(f"look up the image {text}", reraise=(exceptions.NotFound,)):
            if match["family"]:
                image = google.images.get_from_family(
                    project=project, family=match["name"], retry=RETRY, timeout=TIMEOUT_SECONDS
                )
            else:
                image = google.images.get(project=project, image=match["name"], retry=RETRY, timeout=TIMEOUT_SECONDS)
    except exceptions.NotFound:
        kind = "image family" if match["family"] else "image"
        return Problem(WHERE, 1, f"there is no {kind} {match['name']} in {project}", "correct --gce-image")
    except BakeryError as error:
        error.hint = error.hint or "grant the account compute.images.get in the image's project"
        raise
    return ImageRecord(image.name, "", "", "", "", image.creation_timestamp, location=image.self_link)
