"""The border to the machine: subprocesses and Google clients are made here and nowhere else."""
