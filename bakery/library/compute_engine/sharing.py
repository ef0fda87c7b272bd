"""Sharing of Compute Engine images: one binding of the image's IAM policy; other bindings are not changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

from google.api_core import exceptions

from bakery.errors import Uncertain
from bakery.host.google import RETRY, Google, api_errors

TRIES = 5  # of a change that conflicts with another writer's
IMAGE_USER = "roles/compute.imageUser"
POLICY_VERSION = 3  # the version with conditions, which other bindings may have
CONFLICTS = (exceptions.Conflict, exceptions.PreconditionFailed)


def share(google: Google, project: str, name: str, members: set[str], gone: set[str]) -> None:
    """Let ``members`` use the image, and revoke the access of ``gone``. Raises Uncertain, BakeryError."""
    for _ in range(TRIES):
        with contextlib.suppress(*CONFLICTS):
            return _share(google, project, name, members, gone)
    raise Uncertain(f"another writer keeps changing the policy of {name}", hint="run it again")


def unshared(google: Google, project: str, name: str, members: Iterable[str]) -> list[str]:
    """Return those of ``members`` that may not use the image. Raises Uncertain, BakeryError."""
    with api_errors(f"look up who may use image {name}"):
        current = _members(_ours(_policy(google, project, name)))
        return [member for member in members if member not in current]


def _policy(google: Google, project: str, name: str) -> Mapping[str, Any]:
    version = str(POLICY_VERSION)
    return google.read_compute(f"global/images/{name}/getIamPolicy", project, optionsRequestedPolicyVersion=version)


def _ours(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the bindings that the bakery changes; it creates none with a condition."""
    return [one for one in policy.get("bindings", ()) if one["role"] == IMAGE_USER and "condition" not in one]


def _members(bindings: Iterable[Mapping[str, Any]]) -> set[str]:
    return {member for binding in bindings for member in binding.get("members", ())}


def _share(google: Google, project: str, name: str, members: set[str], gone: set[str]) -> None:
    with api_errors(f"share image {name}", reraise=CONFLICTS):
        policy = _policy(google, project, name)
        ours = _ours(policy)
        current = _members(ours)
        wanted = (current | members) - (gone - members)
        if wanted == current:
            return
        others = [one for one in policy.get("bindings", ()) if one not in ours]
        mine = [{"role": IMAGE_USER, "members": sorted(wanted)}] if wanted else []
        changed = {"bindings": [*others, *mine], "etag": policy.get("etag", ""), "version": POLICY_VERSION}
        RETRY(google.change_compute)("POST", f"global/images/{name}/setIamPolicy", {"policy": changed}, project)
