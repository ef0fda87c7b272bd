-- Debian's Open MPI. It is in the default PATH; the module says so to scripts that expect one.
whatis("Open MPI of the operating system, with PMIx: srun --mpi=pmix")
family("mpi")
setenv("MPI_HOME", "/usr/lib/x86_64-linux-gnu/openmpi")
setenv("SLURM_MPI_TYPE", "pmix")
