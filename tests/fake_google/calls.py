"""The table of calls in docs/google.md: what the bakery asks Google for, who may, the quota, and what holds it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fake_google.permissions import NEEDED, ROLES, grants_of, holders

# Quotas by product and, for Compute Engine, by kind of method.
# Sources: https://cloud.google.com/compute/api-quota, https://cloud.google.com/build/quotas,
# https://cloud.google.com/storage/quotas, https://cloud.google.com/bigquery/quotas, https://cloud.google.com/pubsub/quotas
QUOTAS: Mapping[str, str] = {
    "compute.list": "list requests a minute",
    "compute.operation": "operation read requests a minute",
    "compute.read": "read requests a minute",
    "compute.machine": "queries a minute; processors and disks of the region",
    "compute.change": "queries a minute",
    "bigquery": "bytes of streamed rows a second",
    "cloudbuild.create": "builds a minute; parallel builds",
    "cloudbuild": "read requests a minute",
    "pubsub": "bytes published a second in the region",
    "storage": "requests a second of the bucket",
}
KINDS = (("Operations", "operation"), ("ist", "list"), (".get", "read"), ("instances.insert", "machine"))
HELD_BY: Mapping[str, str] = {
    "bigquery": "unit/library/compute_engine/test_library.py",
    "cloudbuild": "unit/ovens/cloud_build/test_oven.py",
    "compute.disks": "unit/ovens/cloud_build/test_machines.py",
    "compute.images": "unit/library/compute_engine/test_library.py",
    "compute": "unit/fluid_run/test_compute_engine.py",
    "pubsub": "unit/library/compute_engine/test_events.py",
    "storage": "contract/test_libraries.py",
}
PACKERS = "gcp/test_packer_plugin.py"
ONLY_PACKER = ("compute.instances.setMetadata", "compute.projects.get", "compute.zones.get")


def quota(method: str) -> str:
    """The quota that a method counts against."""
    product = method.partition(".")[0]
    if product == "compute":
        return QUOTAS[f"compute.{next((kind for word, kind in KINDS if word in method), 'change')}"]
    return QUOTAS["cloudbuild.create" if method.endswith("builds.create") else product]


def held_by(method: str) -> str:
    """The test that makes the call, below tests/."""
    if method in ONLY_PACKER:
        return PACKERS
    return HELD_BY.get(method.rpartition(".")[0], HELD_BY[method.partition(".")[0]])


def table() -> str:
    """The table as Markdown, with the roles of the bakery's accounts that allow each call."""
    lines = ["| call | allowed by | quota | held by, in `tests/` |", "|---|---|---|---|"]
    for method, permissions in NEEDED.items():
        grants = [grant for account in holders(method) for grant in grants_of(account)]
        roles = {grant.role for grant in grants if set(permissions) & set(ROLES.get(grant.role, ()))}
        shown = ", ".join(f"`{role}`" for role in sorted(roles))
        lines.append(f"| `{method}` | {shown} | {quota(method)} | `{held_by(method)}` |")
    return "\n".join(lines) + "\n"
