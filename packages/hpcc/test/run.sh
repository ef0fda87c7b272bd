#!/bin/bash
# HPC Challenge over all tasks of the job, matrices of HPCC_N x HPCC_N. The figures are in hpccoutf.txt, in the output
# directory.
set -euo pipefail

n=${HPCC_N:-400}
ranks=${SLURM_NTASKS:?run me with sbatch}

# The process grid P x Q, as square as it gets, P <= Q.
p=1
for ((i = 1; i * i <= ranks; i++)); do
  if ((ranks % i == 0)); then p=$i; fi
done

cat >hpccinf.txt <<END
HPLinpack benchmark input file
$ranks ranks
HPL.out      output file name
8            device out (6=stdout,7=stderr,file)
1            # of problems sizes (N)
$n           Ns
1            # of NBs
80           NBs
0            PMAP process mapping (0=Row-,1=Column-major)
1            # of process grids (P x Q)
$p           Ps
$((ranks / p))            Qs
16.0         threshold
1            # of panel fact
2            PFACTs (0=left, 1=Crout, 2=Right)
1            # of recursive stopping criterium
4            NBMINs (>= 1)
1            # of panels in recursion
2            NDIVs
1            # of recursive panel fact.
1            RFACTs (0=left, 1=Crout, 2=Right)
1            # of broadcast
1            BCASTs (0=1rg,1=1rM,2=2rg,3=2rM,4=Lng,5=LnM)
1            # of lookahead depth
1            DEPTHs (>=0)
2            SWAP (0=bin-exch,1=long,2=mix)
64           swapping threshold
0            L1 in (0=transposed,1=no-transposed) form
0            U  in (0=transposed,1=no-transposed) form
1            Equilibration (0=no,1=yes)
8            memory alignment in double (> 0)
##### PTRANS takes the sizes above #####
0            Number of additional problem sizes for PTRANS
             values of N
0            number of additional blocking sizes for PTRANS
             values of NB
END
rm -f hpccoutf.txt # hpcc appends

srun --mpi=pmix hpcc
grep -q '^Success=1' hpccoutf.txt || { echo "hpcc did not come to its end" >&2; exit 1; }
if grep -q 'FAILED' hpccoutf.txt; then
  grep 'FAILED' hpccoutf.txt >&2
  exit 1
fi
grep -E '^(CommWorldProcs|HPL_Tflops|StarSTREAM_Triad|StarDGEMM_Gflops|MPIFFT_Gflops|PTRANS_GBs|MaxPingPongLatency_usec)=' \
  hpccoutf.txt
