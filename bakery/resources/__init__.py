"""The three dynamic resources, thin shells over ovens, Fluid-Run and library; ``program.declare`` declares them."""
