#!/bin/bash -l
# The lid-driven cavity of the tutorials, on one rank.
set -euo pipefail

cp -r "$FOAM_TUTORIALS/incompressible/icoFoam/cavity/cavity" case
cd case
blockMesh >log.blockMesh
icoFoam | tee log.icoFoam
grep -q '^End' log.icoFoam || { echo "icoFoam did not come to its end" >&2; exit 1; }
