"""Ovens bake images: one protocol, a local, a Google Cloud and a fake implementation."""
