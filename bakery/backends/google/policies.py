"""The policies of an organisation that an `up` on Google Cloud would break, read before it does.

The answer is the policy in force, whichever folder or organisation sets it. Source: the method
``cloudresourcemanager.projects.getEffectiveOrgPolicy``, whose lists have values or groups of them ("in:", "under:").
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bakery.errors import BakeryError
from bakery.host.google import CALLS_AT_ONCE, Google, api_errors
from bakery.host.google_errors import policy_hint
from bakery.plan.model import ImagePlan
from bakery.settings import GoogleSettings
from bakery.settings.google import Duty

RESOURCE_MANAGER = "https://cloudresourcemanager.googleapis.com"
Policy = Mapping[str, Any]
ENCRYPTED = ("artifactregistry", "bigquery", "compute", "pubsub", "storage")  # what google.kmsKey encrypts
GROUPS = ("in:", "under:")


def refused(google: Google, images: Sequence[ImagePlan]) -> list[str]:
    """Return a line for each policy that refuses a part of the plan, with what to set.

    Who may not read the policies, which takes ``orgpolicy.policy.get``, gets none: the ``up`` says it then.
    """
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        policies = dict(zip(CHECKS, pool.map(lambda name: _read(google, name), CHECKS), strict=True))
    found = {name: check(policies[name], google.settings, images) for name, check in CHECKS.items()}
    words = {name: policy_hint(f"constraints/{name}") for name, what in found.items() if what}
    return [f"{', '.join(found[name])} will fail: {hint}" for name, hint in words.items()]


def _read(google: Google, constraint: str) -> Policy:
    """Return the policy in force in the project; nothing if it can't be read."""
    try:
        with api_errors(f"read the policy {constraint}"):
            body = {"constraint": f"constraints/{constraint}"}
            return google.ask(
                "POST", RESOURCE_MANAGER, f"v1/projects/{google.project}:getEffectiveOrgPolicy", json=body
            )
    except BakeryError:
        return {}


def _enforced(policy: Policy) -> bool:
    return bool(policy.get("booleanPolicy", {}).get("enforced"))


def _denied(policy: Policy, values: Iterable[str]) -> list[str]:
    """Return the values that the list of a policy certainly refuses: groups are not looked into."""
    rules = policy.get("listPolicy", {})
    allowed, denied = (_values(rules.get(key, ())) for key in ("allowedValues", "deniedValues"))
    if rules.get("allValues") == "DENY":
        return [*values]
    closed = bool(allowed) and not any(one.startswith(GROUPS) for one in allowed)
    return [one for one in values if one in denied or (closed and one not in allowed)]


def _values(listed: Iterable[str]) -> Collection[str]:
    return {one.removeprefix("is:") for one in listed}


def _os_login(policy: Policy, google: GoogleSettings, images: Sequence[ImagePlan]) -> list[str]:
    return ["bakes"] if images and _enforced(policy) and not google.os_login else []


def _secure_boot(policy: Policy, _google: GoogleSettings, images: Sequence[ImagePlan]) -> list[str]:
    builders = ((image.family, builder) for image in images for builder in image.template.get("builders", ()))
    without = dict.fromkeys(family for family, builder in builders if not builder.get("enable_secure_boot"))
    return [f"the bake of {family}" for family in without] if _enforced(policy) else []


def _bases(policy: Policy, google: GoogleSettings, images: Sequence[ImagePlan]) -> list[str]:
    projects = {image.base.project for image in images if image.base.external} - {google.project}
    denied = _denied(policy, [f"projects/{project}" for project in sorted(projects)])
    return [f"bakes from images of {project.removeprefix('projects/')}" for project in denied]


def _region(policy: Policy, google: GoogleSettings, _images: Sequence[ImagePlan]) -> list[str]:
    return [f"everything in {place}" for place in _denied(policy, [google.region])]


def _keys(policy: Policy, google: GoogleSettings, _images: Sequence[ImagePlan]) -> list[str]:
    services = [f"{service}.googleapis.com" for service in ENCRYPTED]
    return [] if google.kms_key else [f"resources of {service}" for service in _denied(policy, services)]


def _accounts(policy: Policy, google: GoogleSettings, _images: Sequence[ImagePlan]) -> list[str]:
    missing = [google.named(duty) for duty in Duty if not google.accounts.get(duty)]
    return [f"the account {name}" for name in missing] if _enforced(policy) and not google.infrastructure else []


CHECKS: Mapping[str, Callable[[Policy, GoogleSettings, Sequence[ImagePlan]], list[str]]] = {
    "compute.requireOsLogin": _os_login,
    "compute.requireShieldedVm": _secure_boot,
    "compute.trustedImageProjects": _bases,
    "gcp.resourceLocations": _region,
    "gcp.restrictNonCmekServices": _keys,
    "iam.disableServiceAccountCreation": _accounts,
}
