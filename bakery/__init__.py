"""Image Bakery: bakes, proves and promotes the VM images of Slurm clusters."""
