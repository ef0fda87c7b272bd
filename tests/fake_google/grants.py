"""When grants and services take effect: what is granted or enabled works only some time later.

A build that runs as ``bakery-bake`` fails until all roles of that account have taken effect, in Cloud Build's words.
"""

from __future__ import annotations

from typing import Any

from bakery.infrastructure.grants import GRANTS, OS_LOGIN
from bakery.settings.google import Duty
from tests.fake_google.cloud import CONSULTED, Answer, Cloud, Request

Json = Any
WRITERS = {"WRITER": "roles/bigquery.dataEditor"}  # as a dataset's list of access names the role


def consult(cloud: Cloud, request: Request) -> Answer | None:
    """Note when a role was granted, and when a service was enabled."""
    body = request.body or {}
    if request.id.endswith(".setIamPolicy"):
        for binding in (body.get("policy") or body).get("bindings", []):
            for member in binding["members"]:
                grant(cloud, member, binding["role"])
                if request.call.method.product == "cloudkms":
                    key = request.key.removesuffix(":setIamPolicy")
                    if cloud.conditions.early_keys and (key, member) not in cloud.conditions.granted_on_keys:
                        cloud.conditions.too_early.add(f"{key} {member}")
                    cloud.conditions.granted_on_keys.setdefault((key, member), cloud.clock())
    if request.id.startswith("bigquery.datasets."):
        for entry in body.get("access", []):
            grant(cloud, entry.get("userByEmail", ""), WRITERS.get(entry.get("role", ""), entry.get("role", "")))
    if request.id == "serviceusage.services.enable":
        enable(cloud, request.key.rpartition("/")[2].removesuffix(":enable"))
    if request.id == "serviceusage.services.batchEnable":
        for service in body.get("serviceIds", []):
            enable(cloud, service)
    return None


def grant(cloud: Cloud, member: str, role: str) -> None:
    """Grant a role, unless it was granted before."""
    cloud.conditions.granted.setdefault((member.rpartition(":")[2], role.rpartition("/roles/")[2]), cloud.clock())


def enable(cloud: Cloud, service: str) -> None:
    """Enable a service, unless it was enabled before."""
    cloud.conditions.enabled.setdefault(service, cloud.clock())


def effective(cloud: Cloud, account: str, role: str) -> bool:
    """Whether a role of one of the bakery's accounts has taken effect."""
    if not cloud.conditions.grant_seconds:
        return True
    times = [
        at
        for (member, name), at in cloud.conditions.granted.items()
        if (member.partition("@")[0], name) == (account, role)
    ]
    return any(cloud.clock() - at >= cloud.conditions.grant_seconds for at in times)


def lacking(cloud: Cloud, build: Json) -> list[str]:
    """The roles of the account of a build that have not taken effect yet."""
    account = build.get("serviceAccount", "").rpartition("/")[2]
    if not cloud.conditions.grant_seconds or not account.startswith("bakery-bake@"):
        return []
    now, seconds = cloud.clock(), cloud.conditions.grant_seconds
    roles = {one.role.rpartition("/")[2] for one in GRANTS if one.duty is Duty.BAKE and one.role != OS_LOGIN}
    known = {
        role.rpartition("/")[2]: at for (member, role), at in cloud.conditions.granted.items() if member == account
    }
    return sorted(role for role in roles if now - known.get(role, now) < seconds)


CONSULTED.append(consult)
