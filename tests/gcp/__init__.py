"""The gcp stack against the fake Google Cloud: with the real engine, and a provider that stands in for pulumi-gcp."""
