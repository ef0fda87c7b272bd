"""Bakes on spot machines: what an image says of its machine, and whether Compute Engine took one back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeryError
from bakery.host.google import Google, api_errors
from bakery.host.pages import compute_items
from bakery.orders.model import BakeOrder
from bakery.ovens.cloud_build.request import SPOT_TAG
from bakery.ovens.cloud_build.watch import Status
from bakery.plan.image_labels import MACHINE_LABEL
from bakery.settings.google import BAKE

PREEMPTION = "compute.instances.preempted"
# Packer's words about a machine that was taken back before it had started: hashicorp/packer, issue 9133, 2020-04-29.
AT_ONCE = "Instance failed to start due to preemption"


def labelled(order: BakeOrder, machine: str) -> BakeOrder:
    """Return the order of an image that says on what kind of machine it was baked: spot or standard."""
    return replace(order, labels={**order.labels, MACHINE_LABEL: machine})


def preempted(google: Google, build: cloudbuild_v1.Build, tail: Sequence[str]) -> bool:
    """Return whether a build failed because its machine was taken back; ``tail`` is the end of its log.

    Compute Engine's record stays when the machine is gone; if it can't be read, the log may say it. Source:
    https://cloud.google.com/compute/docs/instances/create-use-spot, "Detect preemption of Spot VMs", 2026-12-01.
    """
    if SPOT_TAG not in build.tags or build.status not in (Status.FAILURE, Status.TIMEOUT):
        return False
    zone, name = build.substitutions.get("_ZONE", ""), f"/instances/{BAKE}{build.id}"
    with suppress(BakeryError), api_errors(f"look for the machine of build {build.id}"):
        found = compute_items(google, f"zones/{zone}/operations", filter=f'operationType = "{PREEMPTION}"')
        if any(str(one.get("targetLink", "")).endswith(name) for one in found):
            return True
    return any(AT_ONCE in line for line in tail)
