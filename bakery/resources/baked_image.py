"""``BakedImage``: an image of the plan that is in the library, at least as a candidate."""

from functools import partial
from typing import NoReturn

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource

from bakery.backends import backend
from bakery.backends.source import take_proven
from bakery.codec import decode
from bakery.errors import BakeryError
from bakery.library.revocation import refusal, revocation_of
from bakery.orders import files as order_files
from bakery.orders.model import BakeOrder
from bakery.ovens.base import BakeOutcome
from bakery.paths import StatePaths
from bakery.preview.snapshot import LibrarySnapshot
from bakery.resources import progress
from bakery.resources.fluid_run_test import load_ahead
from bakery.resources.provider import (
    BakeryProvider,
    Props,
    created,
    library_of,
    library_view,
    read_order,
    reports_errors,
    settings,
    twin,
    wants,
    when_allowed,
)


class BakedImageProvider(BakeryProvider):
    """Bakes, reads and deprecates one image. The name of this class is in every state: never move it."""

    replaces = ("name", "digest", "project")

    def stands(self, _held: LibrarySnapshot, _props: Props) -> bool:
        """Return whether the library has the image, and may use it."""
        return _props["name"] in _held.records and not _held.revocation(_props["name"])

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Adopt, join or bake the image of the order that the program wrote, or take it from another stack.

        Raises RevokedImage.
        """
        stack, name, library = settings(props["urn"]), props["name"], library_of(props["urn"])
        if revocation := when_allowed(props["urn"], partial(revocation_of, library, name)):
            raise refusal(name, revocation, stack.source_stack.stack if stack.source_stack else "")
        outcome = _take(props) if stack.source_stack else _bake(props)
        if adopted := outcome is not BakeOutcome.BAKED:
            when_allowed(props["urn"], partial(library.relabel, name, props.get("labels") or {}))
        created(props["urn"], name, adopted)
        return CreateResult(name, {**props, "outcome": outcome.value})

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Let the next ``up`` adopt an image whose labels were changed, which restores them."""
        found = super().read(id_, props)
        held = library_view.look(props["urn"])
        labels = props.get("labels") or {}  # a state of version 0.1.0 has none
        if found.id and held and not labels.items() <= held.records[props["name"]].labels.items():
            return ReadResult(id_, {**props, "digest": ""})
        return found

    @reports_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Deprecate the image unless a family points at it or a stack wants it; only retention deletes files.

        Keep an image that this run made again or adopted. Raises BakeryError if that was forced without any effect.
        """
        if (forced := twin(_props["urn"], _id)) is not None:
            return _not_baked_again(_id, _props) if forced else None
        library = library_of(_props["urn"])
        wanted = any(want.image == _id for want in wants.listed(library))  # if so, look again: they may have changed
        if wanted and (stacks := sorted({want.stack for want in library.wants() if want.image == _id})):
            progress.engine().status(_props["urn"], f"did not change {_id}: wanted by {', '.join(stacks)}")
        elif library.deprecate(_id):
            progress.engine().status(_props["urn"], f"deprecated {_id}; its file is kept until retention deletes it")
        else:
            progress.engine().status(_props["urn"], f"did not change {_id}: a family points at it, or it is gone")


def _bake(props: Props) -> BakeOutcome:
    stack = settings(props["urn"])
    order = decode(BakeOrder, read_order(order_files.bake_file(StatePaths(stack.state), props["name"])))
    load_ahead(stack)
    with progress.activity(props["urn"], order.name) as activity:
        return backend(stack).oven().bake(order, activity).outcome


def _take(props: Props) -> BakeOutcome:
    stack = settings(props["urn"])
    with progress.activity(props["urn"], props["name"]) as activity:
        activity.say(f"taking it from the stack {stack.from_stack}")
        when_allowed(props["urn"], partial(take_proven, backend(stack), props["name"]))
    return BakeOutcome.ADOPTED


def _not_baked_again(image: str, props: Props) -> NoReturn:
    setting = f"{settings(props['urn']).namespace}:nonce.{props['family']}"
    hint = f"to bake it again: pulumi config set --path {setting} <another word>"
    raise BakeryError(f"{image} was not baked again: the library has it, and its inputs are the same", hint=hint)


class BakedImage(Resource, module="bakery", name="BakedImage"):
    """An image in the library. Inputs: the digest that names it, and the manifest of the digest."""

    name: pulumi.Output[str]
    digest: pulumi.Output[str]
    outcome: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(BakedImageProvider(), name, {"outcome": None, **props}, opts)
