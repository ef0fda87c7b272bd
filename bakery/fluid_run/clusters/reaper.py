"""Deletes machines on Compute Engine: those of a run that has ended, and those that a run has left running."""

from google.cloud import compute_v1

from bakery.errors import BakeryError
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors, delete_instance


def delete_instances(google: Google, condition: str) -> int:
    """Delete all machines of the project that match a filter, in every zone; return their number.

    Tries all of them and then raises the first BakeryError.
    """
    request = compute_v1.AggregatedListInstancesRequest(project=google.project, filter=condition)
    with api_errors("look for machines to delete"):
        pages = google.instances.aggregated_list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)
        machines = [
            (zone.rpartition("/")[2], machine.name)
            for zone, scoped in pages
            for machine in scoped.instances
            if machine.status != "STOPPING"  # a TERMINATED one is only stopped and has to be deleted with its disk
        ]
    failed: list[BakeryError] = []
    for zone, name in machines:
        try:
            delete_instance(google, zone, name)
        except BakeryError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return len(machines)
