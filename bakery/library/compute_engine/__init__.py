"""The library of a Google Cloud project: Compute Engine images."""
