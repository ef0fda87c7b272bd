"""Component resources of pulumi-gcp: everything that the bakery needs on Google Cloud."""
