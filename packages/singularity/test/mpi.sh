#!/bin/bash -l
# An MPI program in a container over all tasks of the job, with the MPI of the host bound into it.
set -euo pipefail

mkdir -p rootfs/{bin,dev,etc,home,lib,lib64,proc,root,run,sys,tmp,usr,var}
cat >ranks.c <<'END'
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv) {
    int rank, sum, ranks;
    double start;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    start = MPI_Wtime();
    for (int i = 0; i < 100; i++)
        MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (sum != ranks * (ranks - 1) / 2)
        MPI_Abort(MPI_COMM_WORLD, 1);
    if (rank == 0)
        printf("ranks: %d\nallreduce: %.1f us\n", ranks, (MPI_Wtime() - start) * 1e4);
    MPI_Finalize();
    return 0;
}
END
mpicc -O2 -o rootfs/bin/ranks ranks.c
apptainer build --force ranks.sif rootfs
srun --mpi=pmix apptainer exec --bind /usr,/lib,/lib64,/etc,/run,/tmp,/var ranks.sif /bin/ranks
