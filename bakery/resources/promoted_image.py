"""``PromotedImage``: a family that points at an image which passed its tests."""

import uuid
from collections.abc import Sequence
from functools import partial

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, UpdateResult

from bakery.errors import Uncertain, UnfitImage, UnprovenImage
from bakery.library.base import Library, Want
from bakery.library.proof import look_up
from bakery.library.revocation import utc
from bakery.library.versions import Software, of_labels
from bakery.plan.image_labels import FIRST_LABEL
from bakery.preview.model import needs_approval
from bakery.preview.snapshot import LibrarySnapshot
from bakery.resources import progress, provider
from bakery.resources.provider import (
    BakeryProvider,
    Props,
    library_of,
    library_view,
    owner_of,
    reports_errors,
    wants,
    when_allowed,
)
from bakery.settings.copies import family_and_project

OTHER_LABELS = "a copy with other labels"  # instead of the name of an image: the next update restores the labels


class PromotedImageProvider(BakeryProvider):
    """Points one family at an image. The name of this class is in every state: never move it.

    A channel has the input ``source``: the recipe's image that its own is made from. With ``first``, a staged roll-out
    of the image begins when the family gets it. The family may be one of another project, which gets a copy.
    ``cluster`` has the fields of the :class:`~bakery.preview.software_fit.RunningCluster` that the image has to fit.

    The library knows what each stack wants of a family. If the engine replaces this resource, it creates the new one
    first: its token differs, so the deletion of the old one withdraws nothing.
    """

    replaces = ("family",)
    updates = ("image", "consumers", "project")

    def stands(self, _held: LibrarySnapshot, _props: Props) -> bool:
        """Return whether the family points at the image."""
        return _held.points(_props["family"], str(_props["image"]))

    @reports_errors
    def create(self, props: Props) -> CreateResult:
        """Point the family at the image. Raises UnprovenImage unless it and its ancestors passed their tests."""
        return CreateResult(props["family"], self._promote({**props, "token": uuid.uuid4().hex}, ()))

    @reports_errors
    def update(self, _id: str, _olds: Props, _news: Props) -> UpdateResult:
        """Point the family at the new image, deprecate the previous one, and change the access of consumers."""
        gone = set(_olds.get("consumers") or ()) - set(_news.get("consumers") or ())
        result = self._promote({**_news, "token": _olds.get("token") or uuid.uuid4().hex}, sorted(gone))
        if owner_of(_olds["urn"]) != owner_of(_news["urn"]):  # the stack was renamed
            wants.drop(library_of(_news["urn"]), owner_of(_olds["urn"]), _id, result["token"])
        return UpdateResult(result)

    @reports_errors
    def read(self, id_: str, props: Props) -> ReadResult:
        """Return what the family points at and who may use it, so that the next ``up`` corrects it; keep it if unknown.

        If another image of the family is ACTIVE, too, that one counts: it would take the place of a deleted one.
        """
        held = library_view.look(props["urn"])
        if held is None or family_and_project(id_)[1] in held.unread:
            return ReadResult(id_, props)
        image = held.pointers.get(id_)
        if image == props["image"]:
            image = held.rival(id_) or image
        stack, token = owner_of(props["urn"]), props.get("token", "")  # a state of version 0.1.0 has none
        try:
            library = library_of(props["urn"])
            consumers = props.get("consumers") or ()
            if image and consumers:
                lost = library.unshared(image, consumers)
                props = {**props, "consumers": [member for member in consumers if member not in lost]}
            if not image:
                wants.drop(library, stack, id_, token)
            elif (own := Want(stack, id_, props["image"], token)) not in held.registered:
                wants.put(library, own)
        except Uncertain as error:  # the account may only read
            progress.engine().warn(props["urn"], f"cannot register which image {id_} shall point at: {error}")
        if held.relabelled(id_):
            image = OTHER_LABELS
        return ReadResult(id_, {**props, "image": image}) if image else ReadResult("", {})

    @reports_errors
    def delete(self, _id: str, _props: Props) -> None:
        """Withdraw what this stack wants; a family that no stack wants any more points at nothing."""
        own = Want(owner_of(_props["urn"]), _id, _props["image"], _props.get("token", ""))
        # No other resource stands for the image of a channel.
        said = wants.give_back(library_of(_props["urn"]), own, derived=bool(_props.get("source")))
        progress.engine().status(_props["urn"], said)

    def _promote(self, props: Props, gone: Sequence[str]) -> Props:
        when_allowed(props["urn"], partial(self._point, props, gone))
        return {**props}

    @staticmethod
    def _point(props: Props, gone: Sequence[str]) -> None:
        library = library_of(props["urn"])
        if missing := look_up(library, props["proofs"]):
            hint = "run `pulumi up` without --target and --exclude, which bakes and tests what is missing"
            raise UnprovenImage(f"{props['family']} is not promoted: {missing}", hint=hint)
        _check_cluster(library, props)
        source = props.get("source")
        if source:
            library.derive(source, props["family"])
        if props.get("first") and library.families().get(props["family"]) != props["image"]:
            seconds = int(utc(library.now()).timestamp())
            library.relabel(source or props["image"], {FIRST_LABEL: str(seconds)})
        if project := family_and_project(props["family"])[1]:
            progress.engine().status(props["urn"], f"copying {props['image']} into {project}")
        want = Want(owner_of(props["urn"]), props["family"], props["image"], props["token"])
        previous = library.promote(props["image"], props["family"], want, _why(props))
        wants.note(want)
        if gone or props.get("consumers"):
            library.share(props["image"], props.get("consumers") or (), gone)
        if previous and previous != props["image"]:
            progress.engine().status(props["urn"], f"{props['family']}: {previous} -> {props['image']}")


def _why(props: Props) -> str:
    """Return why the family gets the image, for the history."""
    stack, (family, project) = provider.settings(props["urn"]), family_and_project(props["family"])
    image = props.get("source") or props["image"]
    if project:
        return f"{family} points at it"
    if stack.pins.get(family) == image:
        return f"pinned in {stack.file}"
    approved = needs_approval(stack, family) and stack.approved.get(family) == image
    return f"approved in {stack.file}" if approved else "the image of its recipe"


def _check_cluster(library: Library, props: Props) -> None:
    """Raise UnfitImage if the image does not fit the cluster that runs; what is not known is noted."""
    if not (given := props.get("cluster")):
        return
    from bakery.preview.software_fit import RunningCluster  # not needed without cluster.slurm

    family, image = props["family"], props.get("source") or props["image"]
    record = library.find(image)
    versions = of_labels(record.labels) if record else {}
    fault = RunningCluster(given["slurm"], given["controller"]).fault(family, image, versions)
    if fault and library.families().get(family) != props["image"]:
        raise UnfitImage(f"{family} is not promoted: {fault[0]}", hint=fault[1])
    if Software.SLURM not in versions:
        progress.engine().warn(props["urn"], f"{image} is not compared with cluster.slurm: its Slurm is not recorded")


class PromotedImage(Resource, module="bakery", name="PromotedImage"):
    """A family and its image, and the consumers that may boot it; the output ``image`` is known after the promotion."""

    family: pulumi.Output[str]
    image: pulumi.Output[str]

    def __init__(self, name: str, props: Props, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(PromotedImageProvider(), name, dict(props), opts)
