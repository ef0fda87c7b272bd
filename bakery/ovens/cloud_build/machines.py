"""The machines on Compute Engine that builds bake on, each called after its build, and what is left of one.

Packer takes its machine away. But Cloud Build ends a build that is cancelled or out of time at once, and Packer with
it: the machine goes on. It is deleted here as soon as somebody sees that the build has ended, and by Compute Engine at
its deadline; then its disk is left, which has to outlive the machine when Packer makes an image of it.
"""

from __future__ import annotations

import re

from google.cloud import compute_v1
from google.cloud.devtools import cloudbuild_v1

from bakery.errors import BakeryError
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors, delete_instance, ignore_missing
from bakery.ovens.cloud_build.watch import ENDED
from bakery.settings.google import BAKE

DELETE = RETRY.with_timeout(30.0)  # who pressed Ctrl-C waits for it
DELETED_SECONDS = 180.0
_BUILD = re.compile(rf"{BAKE}([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


def delete(google: Google, build: cloudbuild_v1.Build) -> None:
    """Let the machine of a build go, if there is one; its disk goes with :func:`clear`. Raises BakeryError."""
    zone = build.substitutions.get("_ZONE", "")
    name = f"{BAKE}{build.id}"
    if zone:
        delete_instance(google, zone, name, DELETE)


def clear(google: Google) -> list[str]:
    """Delete what ended builds have left, disks and machines; says what, a line each. Raises BakeryError."""
    said: list[str] = []
    failed: list[BakeryError] = []
    for zone, disk in _disks(google):
        match = _BUILD.fullmatch(disk.name)
        try:
            if match and _ended(google, match[1]):
                _delete_disk(google, zone, disk)
                said.append(f"deleted what a build that was cut short had left: {disk.name} in {zone}")
        except BakeryError as error:  # one that can't be deleted now keeps no other
            failed.append(error)
    if failed:
        raise failed[0]
    return said


def _disks(google: Google) -> list[tuple[str, compute_v1.Disk]]:
    """The disks of machines that bake, with their zones."""
    request = compute_v1.AggregatedListDisksRequest(project=google.project, filter=f"name eq {BAKE}.*")
    with api_errors("look for disks of builds"):
        pages = google.disks.aggregated_list(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)
        return [(zone.rpartition("/")[2], disk) for zone, scoped in pages for disk in scoped.disks]


def _ended(google: Google, build_id: str) -> bool:
    """Whether the build is over; one that nobody knows is no build of this project."""
    with ignore_missing(f"look at build {build_id}"):
        build = google.builds.get_build(project_id=google.project, id=build_id, retry=RETRY, timeout=TIMEOUT_SECONDS)
        return build.status in ENDED
    return False


def _delete_disk(google: Google, zone: str, disk: compute_v1.Disk) -> None:
    if disk.users:
        delete_instance(google, zone, disk.name, DELETE, DELETED_SECONDS)
    with ignore_missing(f"delete the disk {disk.name}"):
        done = google.disks.delete(
            project=google.project, zone=zone, disk=disk.name, retry=RETRY, timeout=TIMEOUT_SECONDS
        )
        done.result(timeout=DELETED_SECONDS)  # type: ignore[no-untyped-call]
