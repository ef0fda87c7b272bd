"""Sharing of Compute Engine images: one binding of the image's IAM policy; other bindings are not changed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from google.api_core import exceptions

from bakery.errors import Uncertain
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors

if TYPE_CHECKING:
    from google.cloud import compute_v1

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


def _policy(google: Google, project: str, name: str) -> compute_v1.Policy:
    from google.cloud import compute_v1

    request = compute_v1.GetIamPolicyImageRequest(
        project=project, resource=name, options_requested_policy_version=POLICY_VERSION
    )
    return google.images.get_iam_policy(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)


def _ours(policy: compute_v1.Policy) -> list[compute_v1.Binding]:
    """Return the bindings that the bakery changes; it creates none with a condition."""
    return [one for one in policy.bindings if one.role == IMAGE_USER and not one.condition.expression]


def _members(bindings: Iterable[compute_v1.Binding]) -> set[str]:
    return {member for binding in bindings for member in binding.members}


def _share(google: Google, project: str, name: str, members: set[str], gone: set[str]) -> None:
    from google.cloud import compute_v1

    with api_errors(f"share image {name}", reraise=CONFLICTS):
        policy = _policy(google, project, name)
        ours = _ours(policy)
        current = _members(ours)
        wanted = (current | members) - (gone - members)
        if wanted == current:
            return
        others = [one for one in policy.bindings if one not in ours]
        mine = [compute_v1.Binding(role=IMAGE_USER, members=sorted(wanted))] if wanted else []
        changed = compute_v1.Policy(bindings=[*others, *mine], etag=policy.etag, version=POLICY_VERSION)
        google.images.set_iam_policy(
            project=project,
            resource=name,
            global_set_policy_request_resource=compute_v1.GlobalSetPolicyRequest(policy=changed),
            retry=RETRY,
            timeout=TIMEOUT_SECONDS,
        )
