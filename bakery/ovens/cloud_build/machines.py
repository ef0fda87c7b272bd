"""Deletes the machines on Compute Engine that builds bake on, each named after its build, and their disks.

Packer deletes its machine. But when a build is cancelled or reaches its time limit, Cloud Build ends it with Packer
immediately, and the machine keeps running. It is deleted here when a waiting bakery sees the end of the build, and by
Compute Engine at its deadline. Its disk remains, because it must outlive the machine when Packer creates the image.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bakery.errors import BakeryError
from bakery.host.compute_operation import delete_instance, finish
from bakery.host.google import RETRY, Google, api_errors, ignore_missing
from bakery.host.pages import compute_everywhere
from bakery.settings.google import BAKE

if TYPE_CHECKING:
    from google.cloud.devtools import cloudbuild_v1

DELETE = RETRY.with_timeout(30.0)  # a user who pressed Ctrl-C waits for it
DELETED_SECONDS = 180.0
DEBUG = f"{BAKE}debug-"  # the same of a machine that is left up for its user
OWNER_LABEL = "bakery-owner"  # of such a machine
_BUILD = re.compile(rf"({BAKE}|{DEBUG})([0-9a-f]{{8}}(?:-[0-9a-f]{{4}}){{3}}-[0-9a-f]{{12}})")


def delete(google: Google, build: cloudbuild_v1.Build, prefix: str = BAKE) -> None:
    """Delete the machine of a build if it exists; :func:`clear` deletes its disk. Raises BakeryError."""
    zone = build.substitutions.get("_ZONE", "")
    if zone:
        delete_instance(google, zone, f"{prefix}{build.id}", DELETE)


def owner(google: Google) -> str:
    """Return the account of the credentials as the value of a label: lower case letters, digits, - and _."""
    return re.sub(r"[^a-z0-9_-]", "-", google.principal.lower())[:63]


def label_disk(google: Google, build: cloudbuild_v1.Build, recipe: str) -> None:
    """Label the disk of a build's machine for costs, as Packer's plugin can't, if this account may."""
    zone, name = build.substitutions.get("_ZONE", ""), f"{BAKE}{build.id}"
    with suppress(BakeryError), ignore_missing(f"label the disk {name}"):
        disk = google.read_compute(f"zones/{zone}/disks/{name}")
        labels = {**disk.get("labels", {}), **google.settings.machine_labels("bake", recipe)}
        body = {"labelFingerprint": disk["labelFingerprint"], "labels": labels}
        RETRY(google.change_compute)("POST", f"zones/{zone}/disks/{name}/setLabels", body)


def clear(google: Google, *, dry_run: bool = False, debugged: bool = False) -> list[str]:
    """Delete the disks and machines that ended builds left (not with ``dry_run``); return a line for each.

    With ``debugged`` also the machines that were left up for the account of the credentials. Raises BakeryError.
    """
    done: list[str] = []
    failed: list[BakeryError] = []
    for zone, disk in _disks(google):
        match = _BUILD.fullmatch(disk["name"])
        try:
            if match is None or not _ended(google, match[2]):
                continue
            up = match[1] == DEBUG and bool(disk.get("users"))
            if up and not (debugged and _is_mine(google, zone, disk["name"])):
                continue
            if not dry_run:
                delete_disk(google, zone, disk)
            what = "the machine that bakery debug had left up" if up else "what a build that was cut short had left"
            done.append(f"deleted {what}: {disk['name']} in {zone}")
        except BakeryError as error:  # the others are deleted nevertheless
            failed.append(error)
    if failed:
        raise failed[0]
    return done


def _disks(google: Google) -> list[tuple[str, Mapping[str, Any]]]:
    with api_errors("look for disks of builds"):
        return [*compute_everywhere(google, "disks", filter=f"name eq {BAKE}.*")]


def _ended(google: Google, build_id: str) -> bool:
    """Return whether the build has ended; False for an unknown id, which is not that of a build of this project."""
    from bakery.ovens.cloud_build import builds
    from bakery.ovens.cloud_build.watch import ENDED  # not needed if there is no disk

    with ignore_missing(f"look at build {build_id}"):
        return builds.read(google, build_id).status in ENDED
    return False


def _is_mine(google: Google, zone: str, name: str) -> bool:
    """Return whether a machine was left up for the account of the credentials; False if it is gone."""
    with ignore_missing(f"look at the machine {name}"):
        machine = google.read_compute(f"zones/{zone}/instances/{name}")
        return bool(machine.get("labels", {}).get(OWNER_LABEL) == owner(google))
    return False


def delete_disk(google: Google, zone: str, disk: Mapping[str, Any]) -> None:
    """Delete a disk, and first the machine that uses it; not what is gone already. Raises BakeryError."""
    name = disk["name"]
    if disk.get("users"):
        delete_instance(google, zone, name, DELETE, DELETED_SECONDS)
    with ignore_missing(f"delete the disk {name}"):
        done = RETRY(google.change_compute)("DELETE", f"zones/{zone}/disks/{name}")
        finish(google, done, DELETED_SECONDS)
