"""The network of imaging and test machines: no external addresses, ssh only from IAP, outgoing traffic by Cloud NAT."""

from collections.abc import Mapping
from typing import Any

import pulumi

from bakery.infrastructure.component import Component
from bakery.infrastructure.resource import GoogleResource
from bakery.settings.google import SSH_TAG, TEST_TAG

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
        subnetwork = GoogleResource(
            "compute/subnetwork:Subnetwork",
            f"{name}-subnetwork",
            {
                "name": self.google.named(),
                "project": project,
                "region": region,
                "network": network,
                "ipCidrRange": RANGE,
                "privateIpGoogleAccess": True,
                "logConfig": {"flowSampling": 0.1},
                "selfLink": None,
            },
            self.below(),
        )
        router = GoogleResource(
            "compute/router:Router",
            f"{name}-router",
            {"name": self.google.named(), "project": project, "region": region, "network": network},
            self.below(),
        )
        GoogleResource(
            "compute/routerNat:RouterNat",
            f"{name}-nat",
            {
                "name": self.google.named(),
                "project": project,
                "region": region,
                "router": router.output("name"),
                "natIpAllocateOption": "AUTO_ONLY",
                "sourceSubnetworkIpRangesToNat": "LIST_OF_SUBNETWORKS",
                "subnetworks": [{"name": subnetwork.output("selfLink"), "sourceIpRangesToNats": ["ALL_IP_RANGES"]}],
            },
            self.below(),
        )
        self._firewall(name, network)
        return subnetwork.id

    def _network(self, name: str) -> pulumi.Output[str]:
        return GoogleResource(
            "compute/network:Network",
            f"{name}-network",
            {
                "name": self.google.named(),
                "project": self.google.project,
                "autoCreateSubnetworks": False,
                "selfLink": None,
            },
            self.below(),
        ).output("selfLink")

    def _firewall(self, name: str, network: pulumi.Input[str]) -> None:
        everything = [{"protocol": protocol} for protocol in ("tcp", "udp", "icmp")]
        rules: Mapping[str, Mapping[str, Any]] = {
            "ssh-from-iap": {
                "sourceRanges": [IAP_RANGE],
                "targetTags": [SSH_TAG],
                "allows": [{"protocol": "tcp", "ports": ["22"]}],
            },
            "inside-test-clusters": {"sourceTags": [TEST_TAG], "targetTags": [TEST_TAG], "allows": everything},
        }
        for rule, properties in rules.items():
            where = {"project": self.google.project, "network": network, "direction": "INGRESS"}
            GoogleResource(
                "compute/firewall:Firewall",
                f"{name}-{rule}",
                {"name": self.google.named(rule), **where, **properties},
                self.below(),
            )
