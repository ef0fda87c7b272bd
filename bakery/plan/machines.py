"""What the partitions of an image's tests need: of the image, and of the stack's settings. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from bakery.errors import Problem
from bakery.recipe.expressions import fill
from bakery.recipe.machine_types import FEATURES, first_nic, public_features
from bakery.recipe.model import ClusterShape, Json
from bakery.settings import Settings
from bakery.settings.rdma import zones_with

if TYPE_CHECKING:
    from bakery.plan.graph import Node

Need = tuple[str, str]  # a guest OS feature, and the partition that needs it
Fault = tuple[str, str]  # what is wrong, and what to do


def features(options: Mapping[str, Json], variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return the guest OS features that a builder adds to those of the image that it starts from."""
    given = options.get("image_guest_os_features")
    return tuple(fill(str(one), variables) for one in given) if isinstance(given, list) else ()


def needs(cluster: ClusterShape | None) -> tuple[Need, ...]:
    """Return the guest OS features without which Compute Engine refuses the nodes of a cluster."""
    partitions = cluster.partitions if cluster else ()
    found = ((first_nic(one), one.name) for one in partitions)
    return tuple((str(nic), name) for nic, name in found if nic in FEATURES)


def settings_faults(settings: Settings, cluster: ClusterShape | None) -> Iterator[Fault]:
    """Yield what the stack lacks for the cluster; nothing for one that does not test in a project of Google Cloud."""
    if cluster is None or not settings.in_project:
        return
    networks = settings.google.rdma_networks
    where = f"{settings.namespace}:google.rdmaNetworks"
    for part in cluster.partitions:
        network = networks.get(part.rdma_network)
        if part.rdma_network and network is None:
            known = ", ".join(networks) or "none"
            hint = f"add it to {settings.file}, or name another; there is {known}"
            yield f"{where} has no {part.rdma_network}, which partition {part.name} names", hint
        elif network and part.nic_type and network.nic_type != part.nic_type:
            hint = f"name a network with another profile, or nic_type: {network.nic_type}"
            yield f"{part.rdma_network} of partition {part.name} has {network.nic_type}, not {part.nic_type}", hint
    named = dict.fromkeys(part.rdma_network for part in cluster.partitions if part.rdma_network in networks)
    if not zones_with([networks[name] for name in named], settings.google.bake_zones):
        zones = ", ".join(dict.fromkeys(networks[name].zone for name in named))
        hint = (
            f"the zones of tests are {', '.join(settings.google.bake_zones)}: set google.zones, or test in two recipes"
        )
        yield f"the networks {', '.join(named)} are in {zones}, where no test runs", hint


def feature_problems(nodes: Sequence[Node], order: Sequence[int], parents: Mapping[int, int]) -> Iterator[Problem]:
    """Yield a problem for each partition whose nodes need a guest OS feature that the image is known not to have.

    An image has the features of the one that it starts from. Those of an external base that is in no table are unknown.
    """
    known: dict[int, frozenset[str] | None] = {}
    for index in order:
        node = nodes[index]
        base = known[parents[index]] if index in parents else _external(node)
        known[index] = None if base is None else base | set(node.features)
        has = known[index]
        for feature, partition in node.needs if has is not None else ():
            if feature not in (has or ()):
                message = f"{node.title}: the nodes of partition {partition} need the guest OS feature {feature}"
                hint = f"add {feature} to image_guest_os_features in the template, or take another nic_type"
                yield Problem(*node.at, f"{message}, which the image does not have", hint)


def _external(node: Node) -> frozenset[str] | None:
    found = public_features(node.base_family) if node.base_project == "debian-cloud" else None
    return None if found is None else frozenset(map(str, found))
