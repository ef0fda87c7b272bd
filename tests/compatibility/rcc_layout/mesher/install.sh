#!/bin/bash
set -euo pipefail
echo "slurm is in ${SLURM_ROOT:?}"
