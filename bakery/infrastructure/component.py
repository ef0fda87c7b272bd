"""What all components share: their name in Pulumi, their parent, and waiting for the services."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi

from bakery.settings import GoogleSettings

# What holds things stays in the region where it was made: moving it means deleting it, which Google refuses when its
# grants are gone already.
STAYS = ("location",)


class Component(pulumi.ComponentResource):
    """A component resource of the bakery; its type is ``bakery:google:<class name>``."""

    def __init__(
        self,
        name: str,
        google: GoogleSettings,
        after: Sequence[pulumi.Resource] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__(f"bakery:google:{type(self).__name__}", name, None, opts)
        self.google = google
        self.after = tuple(after)

    def below(self, *more: pulumi.Resource, **options: Any) -> pulumi.ResourceOptions:
        """Options of a resource in this component: its child, made after the services and ``more``; and others."""
        return pulumi.ResourceOptions(parent=self, depends_on=[*self.after, *more], **options)
