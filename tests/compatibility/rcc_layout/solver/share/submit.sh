#!/bin/bash
set -euo pipefail
sbatch --wrap site-solver
