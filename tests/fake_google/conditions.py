"""What may be switched on in the fake: the zones, quotas and policies that a project finds and cannot choose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Conditions:
    """The conditions of a project; without any of them nothing is refused that is well-formed."""

    stockouts: set[str] = field(default_factory=set)  # zones
    lacking: set[tuple[str, str]] = field(default_factory=set)  # zone and machine type
    quota: Mapping[str, float] = field(default_factory=dict)  # limits by metric, of each region or of the project
    used: Mapping[str, int] = field(default_factory=dict)  # what others use of them
    policies: set[str] = field(default_factory=set)  # constraints of the organisation that are enforced
    locations: set[str] = field(default_factory=set)  # regions that gcp.resourceLocations allows
    trusted: set[str] = field(default_factory=set)  # projects whose images compute.trustedImageProjects allows
    connected: dict[str, set[str]] = field(default_factory=dict)  # locations of first-generation repositories
    no_builds: set[str] = field(default_factory=set)  # regions where the project may not build
    deleted_roles: dict[str, float] = field(default_factory=dict)  # custom roles and when they were deleted
    keeps_family: bool = False  # whether images.patch passes over an empty family: nobody has seen what Google does
    closed: set[str] = field(default_factory=set)  # projects that share no image with the account of the bakery
    busy: set[str] = field(default_factory=set)  # methods whose next operation comes too soon after another
    rate: set[str] = field(default_factory=set)  # methods over their limit, once each
    agents: set[str] = field(default_factory=set)  # accounts of Google's services that somebody has asked for
    caller: str = "bakery-deploy"  # who calls through the bakery's own clients
    elsewhere: dict[str, set[str]] = field(default_factory=dict)  # roles of the caller in projects that are not its own
    granted: dict[tuple[str, str], float] = field(default_factory=dict)  # when each member got each role first
    granted_on_keys: dict[tuple[str, str], float] = field(default_factory=dict)  # when each got one on each key first
    enabled: dict[str, float] = field(default_factory=dict)  # when each service was enabled
    grant_seconds: float = 0.0  # until a grant takes effect
    service_seconds: float = 0.0  # until an enabled service works
    too_early: set[str] = field(default_factory=set)  # services and members of keys whose next use comes too early
    early_keys: bool = False  # whether the first use of each grant on a key comes too early, on a slow computer, too
