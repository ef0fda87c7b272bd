"""The image library: images with their states, the families that point at them, and their Fluid-Runs."""
