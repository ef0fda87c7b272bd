"""``PromotedImage``: a family that points at an image which passed its tests."""

from collections.abc import Sequence

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from bakery.backends import backend
from bakery.errors import Uncertain
from bakery.resources import progress
from bakery.resources.provider import BakeryProvider, Props, difference, reports_errors, settings

UPDATES = ("image", "consumers", "project")
REPLACES = ("family",)


class PromotedImageProvider(BakeryProvider):
    """Points one family at an image. The name of this class is in every state: never move it."""

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Update the promotion if the image, the consumers or the project changes; replace it for another family."""
        return difference(_olds, _news, replaces=REPLACES, updates=UPDATES)

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Point the family at the image."""
        return CreateResult(props["family"], self._promote(props, ()))

    @reports_errors
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Point the family at the new image, deprecate the previous one, and change the access of consumers."""
        gone = set(_olds.get("consumers") or ()) - set(_news.get("consumers") or ())
        return UpdateResult(self._promote(_news, sorted(gone)))

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Return the image that the family points at now, so that the next ``up`` corrects it; keep it if unknown."""
        try:
            image = backend(settings(props["urn"])).library().families().get(id_)
        except Uncertain as error:
            progress.engine().warn(
                props["urn"], f"cannot read which image {id_} points at, so the promotion is kept: {error}"
            )
            return ReadResult(id_, props)
        return ReadResult(id_, {**props, "image": image}) if image else ReadResult("", {})

    @reports_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Withdraw the promotion: the family points at the newest other image that passed its tests, if any."""
        image = backend(settings(_props["urn"])).library().unpromote(_props["image"], _id)
        progress.engine().status(_props["urn"], f"{_id} now points at {image or 'no image'}")

    @staticmethod
    def _promote(props: Props, gone: Sequence[str]) -> Props:
        library = backend(settings(props["urn"])).library()
        previous = library.promote(props["image"], props["family"])
        if gone or props.get("consumers"):
            library.share(props["image"], props.get("consumers") or (), gone)
        if previous and previous != props["image"]:
            progress.engine().status(props["urn"], f"{props['family']}: {previous} -> {props['image']}")
        return {**props}


class PromotedImage(Resource, module="bakery", name="PromotedImage"):
    """A family and its image, and the consumers that may boot it; the output ``image`` is known after the promotion."""

    family: pulumi.Output[str]
    image: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(PromotedImageProvider(), name, dict(props), opts)
