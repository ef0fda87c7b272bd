"""Copies of the library's images in other projects, see :mod:`bakery.library.copies`.

A copy has the name and the labels of its original, and a label that names the original's project: whatever else is in
the other project is never changed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from bakery.errors import AccessRefused, BakeryError, Uncertain
from bakery.host.clock import utc_now
from bakery.host.google import Google
from bakery.library.base import CopiesIn, ImageRecord, ImageState
from bakery.library.compute_engine import families
from bakery.library.compute_engine.images import ComputeImage, ImageRequests
from bakery.library.compute_engine.records import image_record, of_prefix
from bakery.library.compute_engine.uses import uses
from bakery.plan.image_labels import COPY_LABEL, label, lasting
from bakery.settings.copies import ROLE


class _Projects:
    """The clients of the projects with copies, which share the credentials of the library's own."""

    def __init__(self, home: Google) -> None:
        self._home = home
        self._made: dict[str, Google] = {}
        self._lock = Lock()

    def clients(self, project: str) -> Google:
        """Return the same clients for all who ask."""
        with self._lock:
            if project not in self._made:
                self._made[project] = Google(self._home.settings.of_copies(project))
                self._made[project].credentials = self._home.credentials
            return self._made[project]


class ComputeEngineCopies:
    """Another project with copies. ``google`` are the clients of the library's own project.

    Every method raises Uncertain and BakeryError.
    """

    def __init__(self, google: Google, project: str) -> None:
        self._home = google.shared(ImageRequests)
        self._google = google.shared(_Projects).clients(project)
        self._images = self._google.shared(ImageRequests)
        self._origin = {COPY_LABEL: label(google.project)}

    @property
    def project(self) -> str:
        """The project's id."""
        return self._google.project

    def look(self) -> CopiesIn:
        """List the images of the project once."""
        with self._explained():
            listed = self._images.listed()
        records = [image_record(image, {}) for image in listed]
        pointers = {record.family: record.name for record in families.active(listed) if record.family}
        mine = tuple(record for record in records if self._is_mine(record))
        ours = {record.family for record in mine}
        return CopiesIn(self.project, mine, {family: name for family, name in pointers.items() if family in ours})

    def copy(self, name: str, family: str, note: families.Note) -> str:
        """Copy an image that the family of this name points at, unless it is copied, and point the family at the copy.

        A family that never had a copy and has another ACTIVE image is not taken over. Return the previous image, or "".
        See :func:`bakery.library.compute_engine.families.point` for ``note``.
        """
        original, own = self._home.with_family(name, family)
        if original is None or [record.name for record in families.active(own)][-1:] != [name]:
            hint = "run `pulumi up` without --target and --exclude"
            raise BakeryError(f"{name} is not copied: the family {family} does not point at it", hint=hint)
        with self._explained():
            image, others = self._images.with_family(name, family)
            records = [image_record(one, {}) for one in others]
            strangers = [record.name for record in families.active(others) if not self._is_mine(record)]
            if image is not None and not self._is_mine(image_record(image, {})):
                raise self._taken(f"there is another image {name}")
            if image is None and strangers and not any(map(self._is_mine, records)):
                raise self._taken(f"the family {family} has other images ({', '.join(strangers)})")
            labels = {**lasting(original.labels), **self._origin}
            made = self._images.made_from(name, name, labels, self._home.project)
            self._images.label(name, labels, made)
            return families.point(self._images, made, others, family, _now(), note=note)

    def withdraw(self, name: str, family: str, wanted: families.Wanted, note: families.Note) -> bool:
        """Deprecate the copies of the family if it points at this one and is not ``wanted``; return whether it did."""
        with self._explained():
            mine = [record for record in families.active(self._images.of_family(family)) if self._is_mine(record)]
            if [record.name for record in mine][-1:] != [name] or wanted():
                return False
            note(name)
            for record in mine:
                self._images.set_state(record.name, ImageState.DEPRECATED, "", _now())
            if wanted():  # since the first look a stack may have found the family as it wants it
                self._images.set_state(name, ImageState.ACTIVE)
                return False
            return True

    def move(self, name: str, to: ImageState) -> str:
        """Move a copy to another state; return "", or why it was kept."""
        with self._explained():
            image = self._images.get(name)
            if image is None or not self._is_mine(image_record(image, {})):
                return "" if to is ImageState.DELETED else "it is gone"
            if name in (record.name for record in self._pointed_at(image)):
                return f"the family {image.family} points at it"
            if to is not ImageState.DELETED:
                self._images.set_state(name, to, image.replacement.rpartition("/")[2], image.deprecated or _now())
                return ""
            if user := uses(self._google).get(name):
                return user
            self._images.delete(name)
            return ""

    def _pointed_at(self, image: ComputeImage) -> list[ImageRecord]:
        return families.active(self._images.of_family(image.family))[-1:] if image.family else []

    def _is_mine(self, image: ImageRecord) -> bool:
        return self._origin.items() <= image.labels.items() and of_prefix(image.labels, self._home.prefix)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Name the missing role in the hint of a refusal.

        The error is Uncertain and not AccessRefused, which an ``up`` tries again while its own grants are young: it
        makes none in another project.
        """
        try:
            yield
        except AccessRefused as error:
            hint = (
                f"grant the account the role {ROLE} in the project {self.project}, see docs/google.md; it takes minutes"
            )
            raise Uncertain(error.message, hint=hint) from error

    def _taken(self, why: str) -> BakeryError:
        hint = "copy into a project without them, or deprecate and rename these"
        return BakeryError(f"{why} in the project {self.project}, which the bakery did not make", hint=hint)


def _now() -> str:
    return utc_now("seconds")
