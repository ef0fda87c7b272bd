#!/bin/bash
# After spack-install.sh: a login must find GROMACS.
set -euo pipefail

bash -lc 'gmx_mpi --version' | grep 'GROMACS version'
