"""Options of Packer's builder that decide how long a machine lasts: a deadline, or a spot machine's end at any time."""

import json
import re
from collections.abc import Mapping
from typing import Any

from bakery.orders.model import BakeOrder
from bakery.recipe.model import Json

PACKERS_END_SECONDS = 600  # to create the image and to delete the machine, before Compute Engine deletes it
_OWN_PLUGIN = re.compile(r"plugins install \S*googlecompute v?(\d+)\.(\d+)")


def undone(builder: Mapping[str, Any], *, spot: bool) -> tuple[str, ...]:
    """Return the recipe's own options that only machines of the other kind have, standard or spot ones."""
    if spot:
        return ("max_run_duration_in_seconds", "instance_termination_action")
    return ("preemptible", "on_host_maintenance") if builder.get("preemptible") else ()


def spot() -> Json:
    """Return how the plugin asks for a spot machine: as a preemptible one, which Compute Engine stops after 24 hours.

    Such a machine can't have a deadline of its own: https://cloud.google.com/compute/docs/instances/limit-vm-runtime,
    "Limitations", 2026-12-01. What is left of it is deleted before the next bake.
    """
    return {"preemptible": True, "on_host_maintenance": "TERMINATE"}


def deadline(order: BakeOrder, after: int = 0) -> Json:
    """Return when Compute Engine deletes the machine, whatever the build does; plugins before 1.2 do not support it.

    That is ``after`` seconds after the limit of the build.
    """
    own = _OWN_PLUGIN.search(json.dumps(order.build))
    if own and (int(own[1]), int(own[2])) < (1, 2):
        return {}
    seconds = order.timeout + PACKERS_END_SECONDS + after
    return {"max_run_duration_in_seconds": seconds, "instance_termination_action": "DELETE"}
