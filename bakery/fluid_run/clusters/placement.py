"""Compact placement: the policy that puts the nodes of a partition close to each other.

A policy is a resource of the region that the machines name when they are made, and that can only be deleted after them.
Source: https://docs.cloud.google.com/compute/docs/instances/placement-policies-overview, 2026-11-30.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from google.api_core import exceptions

from bakery.errors import BakeryError
from bakery.fluid_run.clusters.run_spec import PREFIX
from bakery.host.clock import now
from bakery.host.compute_operation import finish
from bakery.host.google import RETRY, Google, api_errors, ignore_missing
from bakery.host.pages import compute_items

if TYPE_CHECKING:
    from bakery.fluid_run.clusters.instance import RunContext

OPERATION_SECONDS = 120
ABANDONED = timedelta(hours=1)  # the machines of a run are made minutes after its policies


class Placements:
    """Makes the placement policies of a run, and deletes them."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self._regions: dict[str, str] = {}  # of the policies that were requested, by name

    def __bool__(self) -> bool:
        """Whether there may be a policy."""
        return bool(self._regions)

    def make(self, run: RunContext, partitions: Iterable[str]) -> None:
        """Make a policy for each partition unless this run made it before. Raises BakeryError."""
        from bakery.fluid_run.clusters.instance import policy_name  # not needed to look for leftovers

        region = run.zone.rpartition("-")[0]
        for partition in partitions:
            name = policy_name(run.run_id, partition)
            if name not in self._regions:
                self._regions[name] = region
                self._make(region, name, run.run_id)

    def _make(self, region: str, name: str, run_id: str) -> None:
        policy = {
            "name": name,
            "description": f"Fluid-Run {run_id} of the Image Bakery",
            "groupPlacementPolicy": {"collocation": "COLLOCATED"},
        }
        with (
            contextlib.suppress(exceptions.Conflict),  # the answer of an earlier request was lost
            api_errors(f"make the placement policy {name}", reraise=(exceptions.Conflict,)),
        ):
            operation = RETRY(self._google.change_compute)("POST", f"regions/{region}/resourcePolicies", policy)
            finish(self._google, operation, OPERATION_SECONDS)

    def delete(self) -> None:
        """Delete the policies; what can't be deleted is left to ``bakery recover``."""
        for name, region in self._regions.items():
            with contextlib.suppress(BakeryError):
                _delete(self._google, region, name)
        self._regions.clear()


def clear(google: Google, *, dry_run: bool = False) -> list[str]:
    """Delete the policies that killed runs left, unless machines have them (not with ``dry_run``).

    Return a line for each. Raises BakeryError.
    """
    zones = google.settings.bake_zones
    regions = dict.fromkeys(zone.rpartition("-")[0] for zone in zones)
    old = [(region, name) for region in regions for name in _abandoned(google, region)]
    used = _used(google, zones) if old else set()
    left = [(region, name) for region, name in old if name not in used]
    if not dry_run:
        for region, name in left:
            _delete(google, region, name)
    return [f"deleted what a test that was cut short had left: placement policy {name}" for _, name in left]


def _used(google: Google, zones: Iterable[str]) -> set[str]:
    """Return the names of the policies that machines have."""
    found: set[str] = set()
    for zone in zones:
        with api_errors("look for machines of tests"):
            machines = [*compute_items(google, f"zones/{zone}/instances")]
        found |= {policy.rpartition("/")[2] for one in machines for policy in one.get("resourcePolicies", ())}
    return found


def _abandoned(google: Google, region: str) -> list[str]:
    before = now() - ABANDONED
    with api_errors("look for placement policies"):
        policies = [*compute_items(google, f"regions/{region}/resourcePolicies", filter=f"name eq {PREFIX}.*")]
    return [one["name"] for one in policies if datetime.fromisoformat(one["creationTimestamp"]) < before]


def _delete(google: Google, region: str, name: str) -> None:
    with ignore_missing(f"delete the placement policy {name}"):
        operation = RETRY(google.change_compute)("DELETE", f"regions/{region}/resourcePolicies/{name}")
        finish(google, operation, OPERATION_SECONDS)
