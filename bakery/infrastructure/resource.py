"""Resources of pulumi-gcp by the names of their types and properties, where its classes cost too much.

Importing ``pulumi_gcp.compute`` takes 60 MiB and a second of each preview, and a ``Trigger`` has 30 outputs, of which a
thousand take 80 MiB. The engine receives the same either way. A test compares the names with those of the classes.
"""

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_gcp import _utilities


class GoogleResource(pulumi.CustomResource):
    """A resource of the type ``gcp:<kind>``, such as ``compute/network:Network``, with the provider's properties."""

    def __init__(self, kind: str, name: str, properties: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        defaults = _utilities.get_resource_opts_defaults()
        super().__init__(f"gcp:{kind}", name, dict(properties), pulumi.ResourceOptions.merge(defaults, opts))

    def output(self, name: str) -> pulumi.Output[str]:
        """Return an output; it must be among the properties, with the value None unless it is an input too."""
        made: pulumi.Output[str] = self.__dict__[name]
        return made
