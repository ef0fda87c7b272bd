"""Orders: what the program hands to ovens and Fluid-Runs, as values and as files."""
