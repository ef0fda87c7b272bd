#!/bin/bash
# After spack-install.sh: a login must find Amber, and no licensed source may stay in the image.
set -euo pipefail

rm -rf /tmp/spack-mirror
bash -lc 'pmemd.MPI --version && command -v tleap'
