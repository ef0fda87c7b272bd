"""``PromotedImage``: a family points at a proven image."""

from __future__ import annotations

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
        """A new image moves the family; the resource stays."""
        return difference(_olds, _news, replaces=REPLACES, updates=UPDATES)

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Point the family at the image."""
        return CreateResult(props["family"], self._promote(props, ()))

    @reports_errors
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Point the family at the new image; the one before is deprecated with a pointer to it. Or share it anew."""
        gone = set(_olds.get("consumers") or ()) - set(_news.get("consumers") or ())
        return UpdateResult(self._promote(_news, sorted(gone)))

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """What the family points at now, so that the next ``up`` moves it back; kept when that is not known."""
        try:
            now = backend(settings(props["urn"])).library().families().get(id_)
        except Uncertain as error:
            progress.engine().warn(props["urn"], f"not known where {id_} points, kept: {error}")
            return ReadResult(id_, props)
        return ReadResult(id_, {**props, "image": now}) if now else ReadResult("", {})

    @reports_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Give the family back to the newest proven image that is left, if it still points at this one."""
        now = backend(settings(_props["urn"])).library().unpromote(_props["image"], _id)
        progress.engine().status(_props["urn"], f"{_id} points at {now or 'no image'} now")

    @staticmethod
    def _promote(props: Props, gone: Sequence[str]) -> Props:
        shelf = backend(settings(props["urn"])).library()
        before = shelf.promote(props["image"], props["family"])
        if gone or props.get("consumers"):
            shelf.share(props["image"], props.get("consumers") or (), gone)
        if before and before != props["image"]:
            progress.engine().status(props["urn"], f"{props['family']}: {before} -> {props['image']}")
        return {**props}


class PromotedImage(Resource, module="bakery", name="PromotedImage"):
    """A family, the image it points at, who else may boot from that; ``image`` as output is known once that is so."""

    family: pulumi.Output[str]
    image: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(PromotedImageProvider(), name, dict(props), opts)
