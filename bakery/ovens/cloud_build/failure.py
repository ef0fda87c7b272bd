"""The error of a failed build: the fault of the recipe, or of the infrastructure."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeFailed, BakeryError, InfrastructureFailed, NoCapacity, StateChanged
from bakery.host.google import NO_CAPACITY
from bakery.orders.model import BakeOrder

Status = cloudbuild_v1.Build.Status
INFRASTRUCTURE = (Status.INTERNAL_ERROR, Status.EXPIRED)
# Failures outside of the steps: what the build reads or writes is missing, or not granted yet.
Kind = cloudbuild_v1.Build.FailureInfo.FailureType
ACCESS = (Kind.FETCH_SOURCE_FAILED, Kind.LOGGING_FAILURE)
REFUSED = re.compile(r"\bgoogleapi: Error 403\b")
GRANTS = "see docs/google.md, Identities; new grants take some minutes to work, then run pulumi up again"
# Faults of the infrastructure in Packer's words (of an operation, only its message), which no recipe can prevent.
SURROUNDINGS = re.compile(
    r"\b([qQ]uota( \S+ e|E)xceeded|QUOTA_EXCEEDED|rateLimitExceeded|backendError|Error 50[0234])\b"
)


def failure(build: cloudbuild_v1.Build, order: BakeOrder, tail: Sequence[str], stack: str) -> BakeryError:
    """Return the error for a failed build; ``tail`` are the last lines of its log.

    It is a BakeFailed if it is the fault of the recipe, and an InfrastructureFailed otherwise.
    """
    text = "\n".join(tail)
    details: Mapping[str, Any] = {
        "tail": tail,
        "log": build.log_url,
        "replay": f"bakery bake {order.family} --stack {stack}",
    }
    if NO_CAPACITY.search(text):
        return NoCapacity("no capacity", **details)
    # The messages of Packer without -force, and of Compute Engine when two images are created at the same time.
    if re.search(rf"\b{re.escape(order.name)}'? already exists", text):
        return StateChanged(f"{order.name} was created by another bake meanwhile, looking again", **details)
    if build.status == Status.CANCELLED:
        return InfrastructureFailed(f"the build of {order.name} was cancelled by another user or process", **details)
    detail = build.failure_info.detail or build.status_detail
    message = f"the build of {order.name} ended as {Status(build.status).name}" + (f": {detail}" if detail else "")
    if build.status in INFRASTRUCTURE or SURROUNDINGS.search(text):
        return InfrastructureFailed(message, **details)
    if build.failure_info.type_ in ACCESS or REFUSED.search(text):
        return InfrastructureFailed(message, hint=GRANTS, **details)
    return BakeFailed(message, **details)
