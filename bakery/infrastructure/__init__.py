"""Component resources of pulumi-gcp: all that the bakery needs on Google Cloud."""
