"""Image Bakery: bakes, proves and promotes the VM images of Slurm clusters."""

__version__ = "0.1.0"
