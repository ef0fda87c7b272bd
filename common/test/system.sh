#!/bin/bash
# Every node of the job: kernel settings and limits are in force, modules, compilers and the shared home work.
set -euo pipefail

check() {
  set -euo pipefail
  local node key value file
  node=$(hostname -s)
  while IFS='= ' read -r key value; do
    [[ -z $key || $key == '#'* ]] && continue
    [[ $(xargs <"/proc/sys/${key//.//}") == "$(xargs <<<"$value")" ]] || { echo "$node: $key is not $value" >&2; exit 1; }
  done </etc/sysctl.d/90-rcc.conf
  [[ $(ulimit -Hl) == unlimited ]] || { echo "$node: locked memory is limited to $(ulimit -Hl)" >&2; exit 1; }
  [[ $(ulimit -Hs) == unlimited ]] || { echo "$node: stacks are limited to $(ulimit -Hs)" >&2; exit 1; }
  file=/etc/security/limits.d/98-rcc.conf
  [[ -s $file ]] || { echo "$node: $file is missing" >&2; exit 1; }
  bash -lc 'module load openmpi && test -n "$MPI_HOME" && module list 2>&1' | grep -q openmpi ||
    { echo "$node: module load openmpi failed" >&2; exit 1; }
  gcc --version >/dev/null && gfortran --version >/dev/null && make --version >/dev/null
  touch "shared.$node"
}
export -f check

rm -f shared.*
srun bash -c check
[[ $(find . -name 'shared.*' | wc -l) -eq $SLURM_JOB_NUM_NODES ]] || { echo "the folder is not shared" >&2; exit 1; }
scontrol ping
echo "nodes checked: $SLURM_JOB_NUM_NODES"
