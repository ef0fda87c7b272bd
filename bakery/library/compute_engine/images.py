"""Requests to Compute Engine about images: look up, list, change and delete."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from google.api_core import exceptions
from google.cloud import compute_v1

from bakery.errors import BakeryError
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors, finish, ignore_missing
from bakery.library.base import ImageState

TRIES = 5  # of a change that conflicts with another writer's
OPERATION_SECONDS = 300


class ImageRequests:
    """The images of one project. Every method raises Uncertain and BakeryError; changes wait for their end."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._project = google.project

    def get(self, name: str) -> compute_v1.Image | None:
        """Return an image; None if it certainly does not exist."""
        with ignore_missing(f"look up image {name}"):
            return self._google.images.get(project=self._project, image=name, retry=RETRY, timeout=TIMEOUT_SECONDS)
        return None

    def listed(self, condition: str = "") -> list[compute_v1.Image]:
        """Return the images that the filter ``condition`` fits, or all of the project, oldest first."""
        request = compute_v1.ListImagesRequest(project=self._project, filter=condition, max_results=500)
        with api_errors("list images"):
            try:
                images = list(self._google.images.list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS))
            except exceptions.NotFound as error:
                raise BakeryError(
                    f"there is no project {self._project}", hint="set image-bakery:google.project"
                ) from error
        return sorted(images, key=lambda image: image.creation_timestamp)

    def copy(self, source: str, name: str, labels: Mapping[str, str]) -> None:
        """Make an image with the content of another one; one that another process has just made is kept."""
        path, key = f"projects/{self._project}/global/images/{source}", self._google.settings.kms_key
        body = compute_v1.Image(name=name, source_image=path, labels=dict(labels))
        if key:
            body.image_encryption_key = compute_v1.CustomerEncryptionKey(kms_key_name=key)
        with contextlib.suppress(exceptions.Conflict):
            self._change(
                f"make image {name} from {source}",
                lambda: self._google.images.insert(project=self._project, image_resource=body, timeout=TIMEOUT_SECONDS),
                reraise=(exceptions.Conflict,),
            )

    def put_into(self, name: str, family: str) -> None:
        """Put an image into a family; "" takes it out of its family."""
        body = compute_v1.Image(family=family)
        self._change(
            f"put image {name} into family {family!r}",
            lambda: self._google.images.patch(
                project=self._project, image=name, image_resource=body, timeout=TIMEOUT_SECONDS
            ),
        )

    def label(self, name: str, labels: Mapping[str, str]) -> None:
        """Set labels and keep the others; try again if another writer changes the labels at the same time."""
        for _ in range(TRIES):
            image = self.get(name)
            if image is None:
                raise BakeryError(f"there is no image {name} to label")
            if labels.items() <= dict(image.labels).items():
                return
            body = compute_v1.GlobalSetLabelsRequest(
                label_fingerprint=image.label_fingerprint, labels={**image.labels, **labels}
            )
            with contextlib.suppress(exceptions.PreconditionFailed):
                return self._set_labels(name, body)
        raise BakeryError(f"another writer keeps changing the labels of {name}", hint="run it again")

    def _set_labels(self, name: str, body: compute_v1.GlobalSetLabelsRequest) -> None:
        self._change(
            f"label image {name}",
            lambda: self._google.images.set_labels(
                project=self._project, resource=name, global_set_labels_request_resource=body, timeout=TIMEOUT_SECONDS
            ),
            reraise=(exceptions.PreconditionFailed,),
        )

    def set_state(self, name: str, state: ImageState, replacement: str = "", deprecated: str = "") -> None:
        """Set the deprecation status. ``deprecated`` is the time of the deprecation; Compute Engine only stores it."""
        body = compute_v1.DeprecationStatus(state=state.value)
        if deprecated:
            body.deprecated = deprecated
        if replacement:
            body.replacement = (
                f"https://www.googleapis.com/compute/v1/projects/{self._project}/global/images/{replacement}"
            )
        self._change(
            f"make image {name} {state}",
            lambda: self._google.images.deprecate(
                project=self._project, image=name, deprecation_status_resource=body, timeout=TIMEOUT_SECONDS
            ),
        )

    def delete(self, name: str) -> None:
        """Delete an image; it may be gone already, for instance because the answer to a first request was lost."""
        with contextlib.suppress(exceptions.NotFound):
            self._change(
                f"delete image {name}",
                lambda: self._google.images.delete(project=self._project, image=name, timeout=TIMEOUT_SECONDS),
                reraise=(exceptions.NotFound,),
            )

    def _change(self, what: str, call: Callable[[], Any], reraise: tuple[type[Exception], ...] = ()) -> None:
        with api_errors(what, reraise=reraise):
            RETRY(lambda: finish(call(), OPERATION_SECONDS))()
