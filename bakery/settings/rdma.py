"""Networks with an RDMA profile, which partitions name: an interface of each node is in each of their subnetworks.

Source of the profiles: https://docs.cloud.google.com/vpc/docs/rdma-network-profiles, 2026-11-30.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from bakery.settings.reader import Reader

PROFILE = r"(?P<zone>[a-z]+-[a-z]+\d+-[a-z])-vpc-(?P<kind>falcon|roce|roce-metal)"
NIC_TYPES = {"falcon": "IRDMA", "roce": "MRDMA", "roce-metal": "MRDMA"}
_SUBNETWORK = r"(projects/[^/]+/regions/[^/]+/subnetworks/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?"


class RdmaNetwork(NamedTuple):
    """A network by its ``profile``, as ``us-central1-a-vpc-falcon``; ``subnetworks`` are names or paths."""

    profile: str
    subnetworks: tuple[str, ...]

    @property
    def zone(self) -> str:
        """The only zone that has the network."""
        return self.profile.partition("-vpc-")[0]

    @property
    def nic_type(self) -> str:
        """The kind of all its interfaces."""
        return NIC_TYPES[self.profile.partition("-vpc-")[2]]

    def paths(self, project: str) -> tuple[str, ...]:
        """Return the subnetworks as paths; a name is one of the project."""
        start = f"projects/{project}/regions/{self.zone.rpartition('-')[0]}/subnetworks/"
        return tuple(one if "/" in one else start + one for one in self.subnetworks)


def zones_with(networks: Iterable[RdmaNetwork], zones: Iterable[str]) -> tuple[str, ...]:
    """Return those of the zones that have all the networks."""
    needed = {network.zone for network in networks}
    return tuple(zone for zone in zones if needed <= {zone})


def read(google: Reader) -> Mapping[str, RdmaNetwork]:
    """Return the networks below ``rdmaNetworks`` by name; an invalid one is a problem."""
    group = google.group("rdmaNetworks")
    found = {name: network for name in group.values if (network := _network(group, name)) is not None}
    group.done()
    return found


def _network(group: Reader, name: str) -> RdmaNetwork | None:
    one = group.group(name)
    profile, subnetworks = one.text("profile"), one.words("subnetworks", least=1)
    one.done()
    if not re.fullmatch(PROFILE, profile):
        one.wrong("profile", f"is {profile!r}", "write ZONE-vpc-falcon, ZONE-vpc-roce or ZONE-vpc-roce-metal")
        return None
    for subnetwork in subnetworks:
        if not re.fullmatch(_SUBNETWORK, subnetwork):
            one.wrong("subnetworks", f"has {subnetwork!r}", "write names, or projects/P/regions/R/subnetworks/S")
    if one.values.get("subnetworks") is None:
        one.wrong("subnetworks", "is missing", "name one, or one for each interface of a node")
    return RdmaNetwork(profile, subnetworks)
