"""The network of imaging and test machines: no external addresses, ssh only from IAP, outgoing traffic by Cloud NAT."""

from collections.abc import Mapping

import pulumi
from pulumi_gcp import compute

from bakery.infrastructure.component import Component
from bakery.settings.google import NETWORK, SSH_TAG, TEST_TAG

RANGE = "10.64.0.0/20"
IAP_RANGE = "35.235.240.0/20"  # source: IAP's documentation, "Using TCP forwarding"


class Network(Component):
    """The network of the bakery. ``subnetwork`` is the path of the created or given subnetwork."""

    def declare(self, name: str) -> Mapping[str, pulumi.Output[str]]:
        """Declare the network unless the settings name a subnetwork."""
        given = self.google.subnetwork
        self.subnetwork = pulumi.Output.from_input(given) if given else self._subnetwork(name)
        return {"subnetwork": self.subnetwork}

    def _subnetwork(self, name: str) -> pulumi.Output[str]:
        project, region = self.google.project, self.google.region
        network = self.google.network or self._network(name)
        subnetwork = compute.Subnetwork(
            f"{name}-subnetwork",
            name=NETWORK,
            project=project,
            region=region,
            network=network,
            ip_cidr_range=RANGE,
            private_ip_google_access=True,
            log_config=compute.SubnetworkLogConfigArgs(flow_sampling=0.1),
            opts=self.below(),
        )
        router = compute.Router(
            f"{name}-router",
            name=NETWORK,
            project=project,
            region=region,
            network=network,
            opts=self.below(),
        )
        compute.RouterNat(
            f"{name}-nat",
            name=NETWORK,
            project=project,
            region=region,
            router=router.name,
            nat_ip_allocate_option="AUTO_ONLY",
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[
                compute.RouterNatSubnetworkArgs(name=subnetwork.self_link, source_ip_ranges_to_nats=["ALL_IP_RANGES"])
            ],
            opts=self.below(),
        )
        self._firewall(name, network)
        return subnetwork.id

    def _network(self, name: str) -> pulumi.Output[str]:
        return compute.Network(
            f"{name}-network",
            name=NETWORK,
            project=self.google.project,
            auto_create_subnetworks=False,
            opts=self.below(),
        ).self_link

    def _firewall(self, name: str, network: pulumi.Input[str]) -> None:
        compute.Firewall(
            f"{name}-ssh-from-iap",
            name="bakery-ssh-from-iap",
            project=self.google.project,
            network=network,
            direction="INGRESS",
            source_ranges=[IAP_RANGE],
            target_tags=[SSH_TAG],
            allows=[compute.FirewallAllowArgs(protocol="tcp", ports=["22"])],
            opts=self.below(),
        )
        compute.Firewall(
            f"{name}-inside-test-clusters",
            name="bakery-inside-test-clusters",
            project=self.google.project,
            network=network,
            direction="INGRESS",
            source_tags=[TEST_TAG],
            target_tags=[TEST_TAG],
            allows=[compute.FirewallAllowArgs(protocol=protocol) for protocol in ("tcp", "udp", "icmp")],
            opts=self.below(),
        )
