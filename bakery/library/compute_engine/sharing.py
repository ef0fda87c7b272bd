"""Sharing of Compute Engine images: one binding of the image's IAM policy; other bindings are not changed."""

import contextlib

from google.api_core import exceptions
from google.cloud import compute_v1

from bakery.errors import Uncertain
from bakery.host.google import RETRY, TIMEOUT_SECONDS, Google, api_errors

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


def _share(google: Google, project: str, name: str, members: set[str], gone: set[str]) -> None:
    with api_errors(f"share image {name}", reraise=CONFLICTS):
        request = compute_v1.GetIamPolicyImageRequest(
            project=project, resource=name, options_requested_policy_version=POLICY_VERSION
        )
        policy = google.images.get_iam_policy(request=request, retry=RETRY, timeout=TIMEOUT_SECONDS)
        # The bakery creates no bindings with a condition.
        ours = [one for one in policy.bindings if one.role == IMAGE_USER and not one.condition.expression]
        current = {member for binding in ours for member in binding.members}
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
