# Variables of a cluster.
