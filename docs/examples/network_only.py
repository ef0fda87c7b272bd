"""The network of the bakery alone, for machines of one's own: no external addresses, ssh through IAP, Cloud NAT."""

import pulumi

from bakery.infrastructure.network import Network
from bakery.settings import GoogleSettings

google = GoogleSettings(project="my-project", region="europe-west1", prefix="site")
network = Network("network", google)
pulumi.export("subnetwork", network.subnetwork)
