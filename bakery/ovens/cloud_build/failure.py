"""What became of a build that did not end well: the recipe's fault, or that of what is around it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, NoCapacity, StateChanged
from bakery.host.google import NO_CAPACITY
from bakery.orders.model import BakeOrder

Status = cloudbuild_v1.Build.Status
INFRASTRUCTURE = (Status.INTERNAL_ERROR, Status.EXPIRED)
# Ends of a build before or beside its steps: what it may read or write is missing, or not granted yet.
Kind = cloudbuild_v1.Build.FailureInfo.FailureType
ACCESS = (Kind.FETCH_SOURCE_FAILED, Kind.LOGGING_FAILURE)
REFUSED = re.compile(r"\bgoogleapi: Error 403\b")
GRANTS = "see docs/google.md, Identities; grants that were made just now take some minutes: run pulumi up again"
# Faults of the surroundings as Packer reports them, of an operation only its message: no recipe makes them go away.
SURROUNDINGS = re.compile(
    r"\b([qQ]uota( \S+ e|E)xceeded|QUOTA_EXCEEDED|rateLimitExceeded|backendError|Error 50[0234])\b"
)


def failure(build: cloudbuild_v1.Build, order: BakeOrder, tail: Sequence[str], stack: str) -> BakeryError:
    """The error that a build stands for which did not end well; ``tail`` are the last lines of its log.

    A BakeFailed is the recipe's, an InfrastructureFailed is not.
    """
    text = "\n".join(tail)
    told: Mapping[str, Any] = {
        "tail": tail,
        "log": build.log_url,
        "replay": f"bakery bake {order.family} --stack {stack}",
    }
    if NO_CAPACITY.search(text):
        return NoCapacity("no capacity", **told)
    # What Packer without -force says, and Compute Engine when two images are made at once.
    if re.search(rf"\b{re.escape(order.name)}'? already exists", text):
        return StateChanged(f"{order.name} was made by somebody else meanwhile, looking again", **told)
    if build.status == Status.CANCELLED:
        return InfrastructureFailed(f"the build of {order.name} was cancelled by somebody else", **told)
    detail = build.failure_info.detail or build.status_detail
    message = f"the build of {order.name} ended as {Status(build.status).name}" + (f": {detail}" if detail else "")
    if build.status in INFRASTRUCTURE or SURROUNDINGS.search(text):
        return InfrastructureFailed(message, **told)
    if build.failure_info.type_ in ACCESS or REFUSED.search(text):
        return InfrastructureFailed(message, hint=GRANTS, **told)
    return BakeFailed(message, **told)
