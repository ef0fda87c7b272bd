"""Results of Fluid-Runs: values, rcc-run's table, JSON and trends."""
