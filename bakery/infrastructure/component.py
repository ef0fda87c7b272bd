"""The base class of all components: their type in Pulumi, the parent of their resources, and their dependencies."""

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from bakery.settings import GoogleSettings

# A resource with content stays in the region where it was created: moving it means deleting it, which Google refuses if
# its grants were deleted before.
STAYS = ("location",)


class Component(pulumi.ComponentResource):
    """A component resource of the bakery; its type is ``bakery:google:<class name>``.

    All of its resources are created after those in ``after``: the services that they need. Those of the project that
    ``google`` names have to be enabled, or among them.
    """

    def __init__(self, name: str, google: GoogleSettings, after: Sequence[pulumi.Resource] = ()) -> None:
        super().__init__(f"bakery:google:{type(self).__name__}", name)
        self.google = google
        self.after = tuple(after)
        self.register_outputs(dict(self.declare(name)))

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the resources of the component, whose names start with ``name``, and return its outputs."""
        raise NotImplementedError

    def below(self, **options: Any) -> pulumi.ResourceOptions:
        """Return the options of a resource in this component: parent, dependencies, and ``options``."""
        return pulumi.ResourceOptions(parent=self, depends_on=list(self.after), **options)


def texts(grants: Sequence[Any]) -> pulumi.Output[list[str]]:
    """Return a text for each grant when all were made: its ID, which names it, and the etag of the policy.

    The etag is another one if the grant was made again.
    """
    return pulumi.Output.all(*[pulumi.Output.format("{0} {1}", one.id, one.etag) for one in grants])
