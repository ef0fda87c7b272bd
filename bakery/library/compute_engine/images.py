"""Requests to Compute Engine about images: look up, list, change and delete."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from google.api_core import exceptions

from bakery.errors import BakeryError, Uncertain
from bakery.host.batches import Batches
from bakery.host.compute_operation import finish
from bakery.host.google import RETRY, Google, api_errors, ignore_missing
from bakery.host.pages import compute_items
from bakery.library.base import ImageState

TRIES = 5  # of a change that conflicts with another writer's
OPERATION_SECONDS = 300
COPY_SECONDS = 1800  # of an image from another one, perhaps in another part of the world
POLL_SECONDS = 5.0
SEEN_SECONDS = (0.5, 1.0)  # after two looks for the end of an operation; then it is asked itself


@dataclass(frozen=True)
class ComputeImage:
    """An image as Compute Engine has it; ``state`` is empty if it is ACTIVE, ``size`` in bytes."""

    name: str
    status: str
    family: str
    labels: Mapping[str, str]
    label_fingerprint: str
    created: str
    state: str
    replacement: str
    deprecated: str
    size: int
    link: str


def compute_image(found: Mapping[str, Any]) -> ComputeImage:
    """Return the image of an answer, which lacks what is empty."""
    deprecation = found.get("deprecated", {})
    return ComputeImage(
        name=found["name"],
        status=found.get("status", ""),
        family=found.get("family", ""),
        labels=dict(found.get("labels", {})),
        label_fingerprint=found.get("labelFingerprint", ""),
        created=found.get("creationTimestamp", ""),
        state=deprecation.get("state", ""),
        replacement=deprecation.get("replacement", ""),
        deprecated=deprecation.get("deprecated", ""),
        size=int(found.get("archiveSizeBytes", 0)),
        link=found.get("selfLink", ""),
    )


class _Condition(NamedTuple):
    """What a question about images asks for: a field (or ``labels.<label>``) with a value."""

    field: str
    value: str

    def fits(self, image: ComputeImage) -> bool:
        """Return whether the image is one of those that are asked for."""
        values = {"name": image.name, "family": image.family}
        label = self.field.removeprefix("labels.")
        return self.value == values.get(self.field, image.labels.get(label))


class ImageRequests:
    """The images of one project. Every method raises Uncertain and BakeryError; changes wait for their end.

    Looks of many threads at single images and families share their requests, see :mod:`bakery.host.batches`.
    """

    def __init__(self, google: Google) -> None:
        self._google = google
        self.project = google.project
        self.prefix = google.settings.prefix
        self._looks = Batches(self._looked_up)

    def get(self, name: str) -> ComputeImage | None:
        """Return an image; None if it certainly does not exist."""
        found = self._looks.get(_Condition("name", name))
        return found[0] if found else self._single(name)

    def seen(self, name: str) -> ComputeImage | None:
        """Return an image; None if it does not exist, or was made only moments ago."""
        return next(iter(self._looks.get(_Condition("name", name))), None)

    def of_family(self, family: str) -> Sequence[ComputeImage]:
        """Return the images in a family, oldest first."""
        return self._looks.get(_Condition("family", family))

    def with_family(self, name: str, family: str) -> tuple[ComputeImage | None, Sequence[ComputeImage]]:
        """Return an image (None if it certainly does not exist) and the images in a family, oldest first."""
        found, others = self._looks.get_all([_Condition("name", name), _Condition("family", family)])
        return found[0] if found else self._single(name), others

    def with_label(self, label: str, name: str) -> Sequence[ComputeImage]:
        """Return an image and those that have its name as a label. Raises BakeryError if it does not exist."""
        found, others = self._looks.get_all([_Condition("name", name), _Condition(f"labels.{label}", name)])
        image = found[0] if found else self._single(name)
        if image is None:
            raise BakeryError(f"there is no image {name} to label")
        return [image, *others]

    def _looked_up(self, conditions: Sequence[_Condition]) -> Sequence[Sequence[ComputeImage]]:
        if len(conditions) == 1 and conditions[0].field == "name":
            image = self._single(conditions[0].value)
            return [[image] if image else []]
        listed = self.listed(" OR ".join(f"({one.field} = {one.value})" for one in dict.fromkeys(conditions)))
        return [[image for image in listed if one.fits(image)] for one in conditions]

    def _single(self, name: str) -> ComputeImage | None:
        with ignore_missing(f"look up image {name}"):
            return compute_image(self._google.read_compute(f"global/images/{name}"))
        return None

    def listed(self, condition: str = "") -> list[ComputeImage]:
        """Return the images that the filter ``condition`` fits, or all of the project, oldest first."""
        query = {"maxResults": "500"} | ({"filter": condition} if condition else {})
        with api_errors("list images"):
            try:
                images = [compute_image(found) for found in compute_items(self._google, "global/images", **query)]
            except exceptions.NotFound as error:
                raise BakeryError(
                    f"there is no project {self.project}",
                    hint="correct google.project (of copies: google.copies)",
                ) from error
        return sorted(images, key=lambda image: image.created)

    def identity(self, project: str, name: str) -> tuple[str, Mapping[str, str]]:
        """Return the number of an image of any project, which no other one has, and its labels. Raises BakeryError."""
        try:
            with api_errors(f"look up image {name} of project {project}", reraise=(exceptions.NotFound,)):
                found = self._google.read_compute(f"global/images/{name}", project)
        except exceptions.NotFound as error:
            hint = f"see: gcloud compute images list --project {project}"
            raise BakeryError(f"there is no image {name} in project {project}", hint=hint) from error
        return str(found["id"]), dict(found.get("labels", {}))

    def made_from(self, source: str, name: str, labels: Mapping[str, str], project: str = "") -> ComputeImage:
        """Return the image ``name``, made from one of the project or of another one unless it exists.

        One that another process is making is waited for, one whose creation failed is made again.
        """
        image = self.get(name)
        if image is not None and image.status == "FAILED":
            self.delete(name)
            image = None
        if image is None:
            self._copy(source, name, labels, project)
        deadline = time.monotonic() + COPY_SECONDS
        while image is None or image.status == "PENDING":
            if (image := self.get(name)) is None:
                raise Uncertain(f"the image {name} was deleted while it was made", hint="run it again")
            if time.monotonic() > deadline:
                raise Uncertain(f"the image {name} is not ready yet", hint="run it again; it is made meanwhile")
            if image.status == "PENDING":
                time.sleep(POLL_SECONDS)
        return image

    def _copy(self, source: str, name: str, labels: Mapping[str, str], project: str = "") -> None:
        path, key = f"projects/{project or self.project}/global/images/{source}", self._google.settings.kms_key
        place = self._google.settings.stored_in()
        own = self._google.settings.labels
        body = {"name": name, "sourceImage": path, "labels": {**own, **labels}, "storageLocations": [place]}
        if key:
            body["imageEncryptionKey"] = {"kmsKeyName": key}
        with contextlib.suppress(exceptions.Conflict):
            self._change(
                f"make image {name} from {source}",
                lambda: self._google.change_compute("POST", "global/images", body),
                reraise=(exceptions.Conflict,),
                seconds=COPY_SECONDS,
            )

    def put_into(self, name: str, family: str) -> None:
        """Put an image into a family; "" takes it out of its family."""
        self._change(
            f"put image {name} into family {family!r}",
            lambda: self._google.change_compute("PATCH", f"global/images/{name}", {"family": family}),
            seen=lambda: bool(family) and self._seen_in(name, family),
        )

    def _seen_in(self, name: str, family: str) -> bool:
        """Return whether the image is in the family soon: one list tells it of many images, an operation of one."""
        for pause in SEEN_SECONDS:
            if (image := self.seen(name)) is not None and image.family == family:
                return True
            time.sleep(pause)
        return False

    def label(self, name: str, labels: Mapping[str, str], image: ComputeImage | None = None) -> None:
        """Set labels and keep the others; try again if another writer changes the labels at the same time.

        ``image`` is the one of this name, if it was read moments ago.
        """
        for _ in range(TRIES):
            image = image or self.get(name)
            if image is None:
                raise BakeryError(f"there is no image {name} to label")
            if labels.items() <= image.labels.items():
                return
            body = {"labelFingerprint": image.label_fingerprint, "labels": {**image.labels, **labels}}
            with contextlib.suppress(exceptions.PreconditionFailed):
                return self._set_labels(name, body)
            image = None
        raise BakeryError(f"another writer keeps changing the labels of {name}", hint="run it again")

    def _set_labels(self, name: str, body: Mapping[str, Any]) -> None:
        self._change(
            f"label image {name}",
            lambda: self._google.change_compute("POST", f"global/images/{name}/setLabels", body),
            reraise=(exceptions.PreconditionFailed,),
        )

    def set_state(self, name: str, state: ImageState, replacement: str = "", deprecated: str = "") -> None:
        """Set the deprecation status. ``deprecated`` is the time of the deprecation; Compute Engine only stores it."""
        body = {"state": state.value}
        if deprecated:
            body["deprecated"] = deprecated
        if replacement:
            link = f"https://www.googleapis.com/compute/v1/projects/{self.project}/global/images/{replacement}"
            body["replacement"] = link
        self._change(
            f"make image {name} {state}",
            lambda: self._google.change_compute("POST", f"global/images/{name}/deprecate", body),
        )

    def delete(self, name: str) -> None:
        """Delete an image; it may be gone already, for instance because the answer to a first request was lost."""
        with contextlib.suppress(exceptions.NotFound):
            self._change(
                f"delete image {name}",
                lambda: self._google.change_compute("DELETE", f"global/images/{name}"),
                reraise=(exceptions.NotFound,),
            )

    def _change(
        self,
        what: str,
        call: Callable[[], Any],
        reraise: tuple[type[Exception], ...] = (),
        seconds: float = OPERATION_SECONDS,
        seen: Callable[[], bool] = lambda: False,
    ) -> None:
        def change() -> None:
            operation = call()
            if not seen():
                finish(self._google, operation, seconds)

        with api_errors(what, reraise=reraise):
            RETRY(change)()
