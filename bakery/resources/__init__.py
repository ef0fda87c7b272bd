"""The three dynamic resources, thin layers over ovens, Fluid-Run and library; ``program.declare`` declares them."""
