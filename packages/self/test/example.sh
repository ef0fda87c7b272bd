#!/bin/bash -l
# One of SELF's example programs over all tasks of the job. SELF_EXAMPLE: its name.
set -euo pipefail

example=${SELF_EXAMPLE:-linear_euler2d_spherical_soundwave_closeddomain}

start=$(date +%s.%N)
srun --mpi=pmix "$SELF_EXAMPLES/$example" | tee example.log
end=$(date +%s.%N)
if grep -qwE 'NaN|Infinity' example.log; then
  echo "$example: the solution is no number" >&2
  exit 1
fi
awk -v start="$start" -v end="$end" 'BEGIN {printf "wall time: %.2f s\n", end - start}'
