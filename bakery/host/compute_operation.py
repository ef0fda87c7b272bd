"""The operation that a change of Compute Engine begins: its end, and why it failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from google.api_core import exceptions, retry

from bakery.host.google import RETRY, Google, ignore_missing

Operation = Mapping[str, Any]  # as Compute Engine answers it
FIRST_PAUSE, LONGEST_PAUSE, GROWTH = 1.0, 20.0, 1.5  # between two looks, in seconds


class OperationError(NamedTuple):
    """Why an operation failed: a code such as ``ZONE_RESOURCE_POOL_EXHAUSTED``, and a sentence."""

    code: str
    message: str


def look(google: Google, operation: Operation) -> Operation:
    """Return the operation as it is now."""
    if has_ended(operation):
        return operation
    place = next((f"{kind}s/{_last(operation[kind])}" for kind in ("zone", "region") if kind in operation), "global")
    return google.read_compute(f"{place}/operations/{operation['name']}")


def has_ended(operation: Operation) -> bool:
    """Return whether the operation has ended, well or not."""
    return operation.get("status") == "DONE"


def finish(google: Google, operation: Operation, seconds: float) -> None:
    """Wait for the end. Raises GoogleAPICallError, also without a status of HTTP, and TimeoutError."""
    until, pause = time.monotonic() + seconds, FIRST_PAUSE
    while not has_ended(operation := look(google, operation)):
        if time.monotonic() + pause > until:
            raise TimeoutError(f"the operation {operation['name']} has not ended within {seconds:.0f} s")
        time.sleep(pause)
        pause = min(pause * GROWTH, LONGEST_PAUSE)
    raise_fault(operation)


def raise_fault(operation: Operation) -> None:
    """Raise the error of an operation that failed, with all faults as its ``errors``."""
    listed = operation.get("error", {}).get("errors", ())
    faults = tuple(OperationError(one.get("code", ""), one.get("message", "")) for one in listed)
    status = operation.get("httpErrorStatusCode")
    if status:
        message = operation.get("httpErrorMessage") or "the operation failed"
        raise exceptions.from_http_status(status, message, errors=faults)  # type: ignore[no-untyped-call]
    if faults:
        raise exceptions.GoogleAPICallError("the operation failed", errors=faults)  # type: ignore[no-untyped-call]


def delete_instance(
    google: Google, zone: str, name: str, retry: retry.Retry = RETRY, wait_seconds: float = 0.0
) -> None:
    """Delete a machine unless it is gone; wait at most ``wait_seconds`` for the end. Raises BakeryError."""
    with ignore_missing(f"delete the machine {name}"):
        operation = retry(google.change_compute)("DELETE", f"zones/{zone}/instances/{name}")
        if wait_seconds:
            finish(google, operation, wait_seconds)


def _last(path: str) -> str:
    return path.rpartition("/")[2]
