"""The policies of an organisation that an `up` on Google Cloud would break, read before it does.

The answer is the policy in force, whichever folder or organisation sets it. Source: the method
``cloudresourcemanager.projects.getEffectiveOrgPolicy``, whose lists have values or groups of them ("in:", "under:").
Each policy takes a call: lists of policies have those of the project only, not what it inherits.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from bakery.errors import BakeryError
from bakery.host.google import CALLS_AT_ONCE, Google, api_errors
from bakery.host.google_errors import policy_hint
from bakery.plan.model import ImagePlan
from bakery.settings import GoogleSettings
from bakery.settings.google import Duty

RESOURCE_MANAGER = "https://cloudresourcemanager.googleapis.com"
Policy = Mapping[str, Any]
# What a policy may refuse, in words, with the value that its list has to allow; "" for one that is only on or off.
Risks = Mapping[str, str]
ENCRYPTED = ("artifactregistry", "bigquery", "compute", "pubsub", "storage")  # what google.kmsKey encrypts
GROUPS = ("in:", "under:")


def refused(google: Google, images: Sequence[ImagePlan]) -> list[str]:
    """Return a line for each policy that refuses a part of the plan, with what to set.

    Only the policies that the plan may break are read. Who may not read them, which takes ``orgpolicy.policy.get``,
    gets no line: the ``up`` reports it then.
    """
    risks = {name: found for name, risk in RISKS.items() if (found := risk(google.settings, images))}
    with ThreadPoolExecutor(CALLS_AT_ONCE) as pool:
        policies = pool.map(partial(_read, google), risks)
    lines = []
    for (name, found), policy in zip(risks.items(), policies, strict=True):
        if what := [words for words, value in found.items() if _refuses(policy, value)]:
            lines.append(f"{', '.join(what)} will fail: {policy_hint(f'constraints/{name}')}")
    return lines


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


def _refuses(policy: Policy, value: str) -> bool:
    """Return whether a policy is on, or its list certainly refuses the value: groups are not looked into."""
    if not value:
        return bool(policy.get("booleanPolicy", {}).get("enforced"))
    rules = policy.get("listPolicy", {})
    allowed, denied = (_values(rules.get(key, ())) for key in ("allowedValues", "deniedValues"))
    closed = bool(allowed) and not any(one.startswith(GROUPS) for one in allowed)
    return rules.get("allValues") == "DENY" or value in denied or (closed and value not in allowed)


def _values(listed: Sequence[str]) -> Collection[str]:
    return {one.removeprefix("is:") for one in listed}


def _os_login(google: GoogleSettings, images: Sequence[ImagePlan]) -> Risks:
    return {"bakes": ""} if any(not image.taken for image in images) and not google.os_login else {}


def _secure_boot(_google: GoogleSettings, images: Sequence[ImagePlan]) -> Risks:
    builders = ((image.family, builder) for image in images for builder in image.template.get("builders", ()))
    return {f"the bake of {family}": "" for family, builder in builders if not builder.get("enable_secure_boot")}


def _bases(google: GoogleSettings, images: Sequence[ImagePlan]) -> Risks:
    projects = {image.base.project for image in images if image.base.external and not image.taken} - {google.project}
    return {f"bakes from images of {project}": f"projects/{project}" for project in sorted(projects)}


def _locations(google: GoogleSettings, images: Sequence[ImagePlan]) -> Risks:
    builders = (builder for image in images for builder in image.template.get("builders", ()))
    stored = {place for builder in builders for place in builder.get("image_storage_locations") or ()}
    stored = {place for place in stored if "{" not in place} | {google.storage_location}
    others = sorted(stored - {google.region, ""})
    return {f"everything in {google.region}": google.region, **{f"images in {place}": place for place in others}}


def _keys(google: GoogleSettings, _images: Sequence[ImagePlan]) -> Risks:
    services = () if google.kms_key else ENCRYPTED
    return {f"resources of {service}.googleapis.com": f"{service}.googleapis.com" for service in services}


def _accounts(google: GoogleSettings, _images: Sequence[ImagePlan]) -> Risks:
    missing = () if google.infrastructure else [google.named(duty) for duty in Duty if not google.accounts.get(duty)]
    return {f"the account {name}": "" for name in missing}


RISKS: Mapping[str, Callable[[GoogleSettings, Sequence[ImagePlan]], Risks]] = {
    "compute.requireOsLogin": _os_login,
    "compute.requireShieldedVm": _secure_boot,
    "compute.trustedImageProjects": _bases,
    "gcp.resourceLocations": _locations,
    "gcp.restrictNonCmekServices": _keys,
    "iam.disableServiceAccountCreation": _accounts,
}
