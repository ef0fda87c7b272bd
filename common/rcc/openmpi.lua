-- Debian's Open MPI. It is in the default PATH; the module says so to scripts that expect one.
whatis("Open MPI of the operating system, with PMIx: srun --mpi=pmix")
family("mpi")
setenv("MPI_HOME", "@MPI_PREFIX@")
setenv("SLURM_MPI_TYPE", "pmix")
