-- The Open MPI of the operating system.
local prefix = "@MPI_PREFIX@"

whatis("Open MPI of the operating system, with PMIx: srun --mpi=pmix")
family("mpi")
setenv("MPI_HOME", prefix)
setenv("SLURM_MPI_TYPE", "pmix")
-- Debian and Ubuntu have it in the default PATH, Rocky Linux has not.
if isDir(pathJoin(prefix, "bin")) then
  prepend_path("PATH", pathJoin(prefix, "bin"))
  prepend_path("LD_LIBRARY_PATH", pathJoin(prefix, "lib"))
end
