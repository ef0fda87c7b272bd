"""Orders: what the program passes to ovens and Fluid-Runs, as values and as files."""
