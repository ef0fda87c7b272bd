"""Takes away machines on Compute Engine: those of a run that ended, and those that a run left behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from google.api_core import exceptions
from google.cloud import compute_v1

from bakery.errors import BakeryError
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors


def delete_instances(google: Google, condition: str) -> int:
    """Delete all machines of the project that fit a filter, in whatever zone; says how many there were."""
    request = compute_v1.AggregatedListInstancesRequest(project=google.project, filter=condition)
    with api_errors("look for machines to delete"):
        pages = google.instances.aggregated_list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)
        found = [
            (zone.rpartition("/")[2], machine.name)
            for zone, scoped in pages
            for machine in scoped.instances
            if machine.status != "STOPPING"  # a TERMINATED one is only stopped: it stays, with its disk
        ]

    def delete(zone: str, name: str) -> Callable[[], Any]:
        return lambda: google.instances.delete(
            project=google.project, zone=zone, instance=name, timeout=TIMEOUT_SECONDS
        )

    failed: list[BakeryError] = []
    for zone, name in found:  # one that can't be deleted now keeps no other
        try:
            with (
                contextlib.suppress(exceptions.NotFound),
                api_errors(f"delete the machine {name}", reraise=(exceptions.NotFound,)),
            ):
                RETRY(delete(zone, name))()
        except BakeryError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return len(found)
