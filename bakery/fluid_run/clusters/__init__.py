"""The clusters that Fluid-Runs happen on: one protocol, several implementations."""
