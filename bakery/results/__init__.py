"""Results of Fluid-Runs: their model, rcc-run's table, JSON and trends."""
