"""Fluid-Run: Slurm jobs on an ephemeral cluster booted from a candidate prove it."""
