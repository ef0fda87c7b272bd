"""Asks the outside which image an external family stands for now: for ``bakery lock``, never for a plan."""

import hashlib
import re
import urllib.error
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

from bakery.errors import InputError, Problem, Uncertain
from bakery.host import mirror
from bakery.host.clock import utc_now
from bakery.host.hardware import ARM_FAMILY
from bakery.lock.cloud_images import FAMILIES, CloudImages
from bakery.lock.model import LockedBase
from bakery.settings import GoogleSettings, LocalSettings, Mirrors
from bakery.settings.network import DIRECT, NOTHING

# What a family of Google's public Debian images is made from locally.
PROJECT = "debian-cloud"
TIMEOUT_SECONDS = 30
_DATE = re.compile(r"(?m)^Date: (.+)$")


class DebianArchive:
    """Debian releases, by the signed index (``InRelease``) of the archive that this machine's apt uses.

    A release's index changes with its point releases, every two months or so; what is fixed in between comes with a
    bake's own ``apt-get upgrade``. All mirrors serve the same bytes, so that the identity is the same everywhere.
    """

    def __init__(self, configured: str = "", mirrors: Mapping[str, str] = NOTHING) -> None:
        self.configured = configured
        self.mirrors = mirrors

    def resolve(self, family: str, project: str) -> LockedBase:
        """Return the current release. Raises InputError for another family, Uncertain if the mirror does not answer."""
        suite = mirror.RELEASES.get(family.removesuffix(ARM_FAMILY)) if project == PROJECT else None
        if suite is None:
            raise InputError([_no_base(family, project)])
        sources = mirror.at_mirrors(mirror.of_release(suite, self.configured, self.mirrors), self.mirrors)
        uri = next(source.uri for source in sources if source.suite == suite)
        return debian_base(family, fetch(f"{uri.rstrip('/')}/dists/{suite}/InRelease"))


class LocalBases:
    """Base images of the local oven: cloud images, and Debian releases."""

    def __init__(self, settings: LocalSettings, root: Path, mirrors: Mirrors = DIRECT.mirrors) -> None:
        self.images = CloudImages(settings.bases, root, mirrors=mirrors.cloud_images)
        self.archive = DebianArchive(settings.mirror, mirrors.apt)

    def resolve(self, family: str, project: str) -> LockedBase:
        """Return the newest image. Raises InputError, InfrastructureFailed."""
        image = self.images.find(family, project)
        return self.images.resolve(family, image) if image else self.archive.resolve(family, project)


class ComputeEngineFamilies:
    """Image families of Compute Engine (REST ``images.getFromFamily``); a Google account is needed to ask."""

    def __init__(self, settings: GoogleSettings) -> None:
        self.settings = settings

    def resolve(self, family: str, project: str) -> LockedBase:
        """Return the newest image of the family, or the image of that name: a template's ``source_image`` may name one.

        Raises InputError if neither exists, Uncertain if Compute Engine does not answer.
        """
        from google.api_core.exceptions import NotFound  # Google's clients take a second to import

        from bakery.host.google import PATIENT, api_errors, clients

        with api_errors(f"look up image family {project}/{family}"):
            google = clients(self.settings)
            try:
                image = PATIENT(google.read_compute)(f"global/images/family/{family}", project)
            except NotFound:
                try:
                    image = PATIENT(google.read_compute)(f"global/images/{family}", project)
                except NotFound as error:
                    message = f"Compute Engine has no image family and no image {project}/{family}"
                    hint = "fix _SOURCE_IMAGE_FAMILY or _SOURCE_IMAGE_PROJECT"
                    raise InputError([Problem("bakery.lock", 1, message, hint)]) from error
        return LockedBase(image["name"], f"id:{image['id']}", utc_now("seconds"))


def _no_base(family: str, project: str) -> Problem:
    known = ", ".join((*(f"{PROJECT}/{release}" for release in mirror.RELEASES), *FAMILIES))
    hint = f"name an image in local.bases (locally there are {known}), or bake on Google Cloud"
    return Problem("bakery.lock", 1, f"no local base image for {project}/{family}", hint)


def debian_base(family: str, index: bytes) -> LockedBase:
    """Return the base that an ``InRelease`` file describes. Raises Uncertain if it is not such a file."""
    date = _DATE.search(index.decode("utf-8", "replace"))
    try:
        day = parsedate_to_datetime(date[1] if date else "").strftime("%Y%m%d")
    except ValueError as error:
        hint = "try another mirror: local.mirror"
        raise Uncertain("the Debian mirror's InRelease has no Date", hint=hint) from error
    return LockedBase(f"{family}-{day}", f"inrelease:{hashlib.sha256(index).hexdigest()}", utc_now("seconds"))


def fetch(url: str) -> bytes:
    """Return the content of an address. Raises Uncertain if it cannot be fetched."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError, ValueError) as error:
        hint = "try again, or set local.mirror"
        raise Uncertain(f"cannot read {url}: {getattr(error, 'reason', error)}", hint=hint) from error
