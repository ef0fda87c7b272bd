#!/bin/bash -l
# Compiles an MPI program on a node and runs it over all of them: who is there, and a ping-pong.
module load openmpi
set -euo pipefail

cat >pingpong.c <<'END'
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* Mean seconds of one way of a message between ranks 0 and 1. */
static double one_way(char *buffer, int bytes, int times, int rank) {
    double start;
    int i;

    MPI_Barrier(MPI_COMM_WORLD);
    start = MPI_Wtime();
    for (i = 0; i < times && rank < 2; i++) {
        if (rank == 0) {
            MPI_Send(buffer, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD);
            MPI_Recv(buffer, bytes, MPI_CHAR, 1, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            MPI_Recv(buffer, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            MPI_Send(buffer, bytes, MPI_CHAR, 0, 0, MPI_COMM_WORLD);
        }
    }
    return (MPI_Wtime() - start) / (2.0 * times);
}

int main(int argc, char **argv) {
    enum { BYTES = 1 << 20 };
    char node[MPI_MAX_PROCESSOR_NAME];
    char *buffer = calloc(BYTES, 1);
    int rank, ranks, sum, length;
    double small, large;

    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Get_processor_name(node, &length);
    printf("hello from rank %d on %s\n", rank, node);
    MPI_Allreduce(&rank, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (buffer == NULL || ranks < 2 || sum != ranks * (ranks - 1) / 2)
        MPI_Abort(MPI_COMM_WORLD, 1);
    one_way(buffer, 8, 10, rank);
    small = one_way(buffer, 8, 100, rank);
    large = one_way(buffer, BYTES, 10, rank);
    if (rank == 0) {
        printf("ranks: %d\n", ranks);
        printf("latency: %.1f us\n", small * 1e6);
        printf("bandwidth: %.2f MB/s\n", BYTES / large / 1e6);
    }
    MPI_Finalize();
    return 0;
}
END
mpicc -O2 -Wall -o pingpong pingpong.c
srun --mpi=pmix ./pingpong
