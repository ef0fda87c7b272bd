"""Why Google refused a request, or ended an operation with an error.

The status alone does not say it: a rate limit, a quota, a service that is off and a missing role are all 403, and an
organisation's policy is 412, as a change by another process. A failed operation of Compute Engine has code and text in
``error.errors[]``; the message of the client library's error is only ``httpErrorMessage`` ("SERVICE UNAVAILABLE").
Each rule has its source in ``tests/fake_google/refusals``.
"""

import re
from collections.abc import Mapping
from enum import StrEnum

from google.api_core import exceptions

from bakery.errors import AccessRefused, BakeryError, InfrastructureFailed, NoCapacity, Uncertain


class Cause(StrEnum):
    """The cause of a refusal."""

    CAPACITY = "the zone has no machine of this kind"
    RATE = "too many requests in a minute"
    POLICY = "a policy of the organisation"
    QUOTA = "a quota of the project"
    SERVICE = "the service is not enabled, or was enabled moments ago"
    ACCESS = "a missing role, or one that was granted moments ago"
    DELETED = "a custom role of this name was deleted some weeks ago"
    OTHER = "another reason"


CONSTRAINT = re.compile(r"constraints/([a-zA-Z]+\.[a-zA-Z]+)")
SERVICE = re.compile(r"\b([a-z]+)\.googleapis\.com\b")
_CAUSES = {
    Cause.CAPACITY: re.compile(
        r"ZONE_RESOURCE_POOL_EXHAUSTED|does not have enough resources|resource_availability|(?i:stockout)"
        r"|[mM]achine type with name '[^']*' does not exist in zone|(machine|accelerator)Types/[^']*' was not found"
    ),
    Cause.RATE: re.compile(r"[rR]ateLimitExceeded|RATE_LIMIT_EXCEEDED|RESOURCE_OPERATION_RATE_EXCEEDED"),
    Cause.POLICY: re.compile(rf"{CONSTRAINT.pattern}|CUSTOM_ORG_POLICY_VIOLATION"),
    Cause.QUOTA: re.compile(r"QUOTA_EXCEEDED|quotaExceeded|[qQ]uota '\S+' exceeded"),
    Cause.SERVICE: re.compile(r"SERVICE_DISABLED|accessNotConfigured|has not been used in project \S+ before"),
    # Without the right to act as an account this is a 400; an account that was just made is not found for a while.
    Cause.ACCESS: re.compile(
        r"does not have access to service account|SERVICE_ACCOUNT_ACCESS_DENIED|iam\.serviceAccounts\.actAs"
        r"|Unknown service account|[sS]ervice ?[aA]ccounts?\S* \S+ (does not exist|was not found)"
        r"|\[4033: 'not authorized'\]"  # of gcloud's tunnel through IAP
        # The agent of a service has no role on a key of Cloud KMS; each service has its own words.
        r"|kmsPermissionDenied|'cloudkms\.cryptoKeyVersions\.useTo\w+' denied|Permission denied on Cloud KMS key"
        r"|CryptoKey Encrypter/Decrypter role"
    ),
    Cause.DELETED: re.compile(r"has been marked for deletion"),
}
_KINDS: Mapping[Cause, type[BakeryError]] = {
    Cause.CAPACITY: NoCapacity,
    Cause.RATE: Uncertain,
    Cause.POLICY: BakeryError,
    Cause.QUOTA: InfrastructureFailed,
    Cause.SERVICE: AccessRefused,
    Cause.ACCESS: AccessRefused,
}
# What to do about the constraints that concern the bakery.
POLICIES: Mapping[str, str] = {
    "compute.requireShieldedVm": "bake from a base with Secure Boot, with enable_secure_boot in packer.json",
    "compute.requireOsLogin": "set google.osLogin to true",
    "compute.vmExternalIpAccess": "no machine of the bakery has an external address; is omit_external_ip overridden?",
    "compute.trustedImageProjects": "add the project of the base image to the policy, or copy the image",
    "compute.skipDefaultNetworkCreation": "leave google.network empty, so that the stack creates a network",
    "gcp.resourceLocations": "set google.region to a location that the policy allows",
    "gcp.restrictNonCmekServices": "set google.kmsKey",
    "iam.disableServiceAccountCreation": "let an administrator create the accounts; name them in google.accounts",
}


def cause_of_text(text: str) -> Cause:
    """Return the cause that a message of Google's names, for instance in a build's log; OTHER if it names none."""
    return next((cause for cause, form in _CAUSES.items() if form.search(text)), Cause.OTHER)


def cause_of(error: BaseException) -> Cause:
    """Return the cause of a client library's error."""
    if not isinstance(error, exceptions.GoogleAPICallError):
        return Cause.OTHER
    if isinstance(error, exceptions.TooManyRequests):
        return Cause.RATE
    cause = cause_of_text(f"{error.message} {error.reason} {_details(error)} {error.details}")
    access = isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized))
    return Cause.ACCESS if cause is Cause.OTHER and access else cause


def text_of(error: exceptions.GoogleAPICallError) -> str:
    """Return what Google said: the message of an answer, or codes and texts of a failed operation."""
    return error.message if _answered(error) else _details(error)


def _answered(error: exceptions.GoogleAPICallError) -> bool:
    return not error.errors or isinstance(error.errors[0], Mapping)


def _details(error: exceptions.GoogleAPICallError) -> str:
    if _answered(error):
        return " ".join(str(one.get("reason", "")) for one in error.errors or ())
    return "; ".join(f"{one.code}: {one.message}" for one in error.errors)


def policy_hint(text: str) -> str:
    """Return what to do about the organisation's policy that ``text`` names."""
    named = CONSTRAINT.search(text)
    name = named[1] if named else ""
    todo = POLICIES.get(name, "ask for an exception for this project")
    return f"the organisation's policy {name or 'on this resource'} refuses it: {todo}; see docs/google.md"


def hint_of(cause: Cause, text: str) -> str:
    """Return what to do about a refusal."""
    service = SERVICE.search(text)
    enable = f"run: gcloud services enable {service[0] if service else 'SERVICE'}; it works some minutes later"
    hints = {
        Cause.RATE: "too many requests in a minute: try again, or ask for a higher limit",
        Cause.QUOTA: "ask for more quota of the region, or set google.region to another one",
        Cause.SERVICE: enable,
        Cause.ACCESS: "the account lacks a role; see docs/google.md. New grants take some minutes to work",
        Cause.DELETED: "set google.roleSuffix to another word; see docs/google.md",
    }
    return policy_hint(text) if cause is Cause.POLICY else hints.get(cause, "")


def refusal(what: str, error: exceptions.GoogleAPICallError, hint: str = "") -> BakeryError:
    """Return the bakery's error; ``what`` names the request, ``hint`` replaces the one of an unexplained refusal."""
    cause, text = cause_of(error), text_of(error)
    message = f"{what}: {text}"
    if cause in _KINDS:
        own = hint if cause is Cause.ACCESS else ""
        return _KINDS[cause](message, hint=own or hint_of(cause, f"{text} {error.details}"))
    if isinstance(error, (exceptions.Conflict, exceptions.PreconditionFailed)):
        return InfrastructureFailed(message, hint=hint or "another process changed it at the same time; run it again")
    kind = Uncertain if isinstance(error, exceptions.ServerError) else BakeryError
    return kind(message, hint=hint)


def no_bucket(name: str) -> InfrastructureFailed:
    """Return the error for a bucket that does not exist."""
    hint = "run pulumi up of a gcp stack, which creates it, or name another in google.buckets"
    return InfrastructureFailed(f"there is no bucket {name}", hint=hint)
