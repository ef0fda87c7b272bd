"""``BakedImage``: an image of the plan is in the library, as a candidate at least."""

from __future__ import annotations

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource

from bakery.backends import backend
from bakery.errors import Uncertain
from bakery.library.base import ImageState
from bakery.orders import files as order_files
from bakery.orders.build import bake_from_json
from bakery.paths import StatePaths
from bakery.resources import progress
from bakery.resources.provider import BakeryProvider, Props, difference, read_order, reports_errors, settings

REPLACES = ("name", "digest", "project")


class BakedImageProvider(BakeryProvider):
    """Bakes, deprecates, looks after one image. The name of this class is in every state: never move it."""

    def diff(self, _id: str, _olds: Props, _news: Props) -> DiffResult:
        """Another digest is another image, and another project has images of its own; the manifest only says why."""
        return difference(_olds, _news, replaces=REPLACES)

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Adopt, join or bake the image of the order that the program wrote."""
        stack = settings(props["urn"])
        order = bake_from_json(read_order(order_files.bake_file(StatePaths(stack.state), props["name"])))
        with progress.activity(props["urn"], order.name) as activity:
            bake = backend(stack).oven().bake(order, activity)
        return CreateResult(order.name, {**props, "outcome": bake.outcome.value})

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Keep the resource unless it is certain that the image is gone."""
        try:
            found = backend(settings(props["urn"])).library().find(id_)
        except Uncertain as error:
            progress.engine().warn(props["urn"], f"not known whether {id_} is there, kept: {error}")
            return ReadResult(id_, props)
        if found is None or found.state is ImageState.DELETED:
            return ReadResult("", {})
        return ReadResult(id_, props)

    @reports_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Deprecate the image unless a family points at it; only retention takes files away."""
        if backend(settings(_props["urn"])).library().deprecate(_id):
            progress.engine().status(_props["urn"], f"{_id} is deprecated, its file stays until retention")
        else:
            progress.engine().status(_props["urn"], f"{_id} is kept as it is: a family points at it, or it is gone")


class BakedImage(Resource, module="bakery", name="BakedImage"):
    """An image in the library. Inputs: the digest that names it, and the manifest of what the digest holds."""

    name: pulumi.Output[str]
    digest: pulumi.Output[str]
    outcome: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(BakedImageProvider(), name, {"outcome": None, **props}, opts)
