"""Compares a plan with a library: what an up would do with each image, and why."""
