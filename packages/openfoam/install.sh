#!/bin/bash
# After spack-install.sh: a login must find OpenFOAM and its tutorials.
set -euo pipefail

bash -lc 'command -v interFoam && ls -d "$FOAM_TUTORIALS/multiphase/interFoam/laminar/damBreak/damBreak"'
