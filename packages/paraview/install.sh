#!/bin/bash
# After spack-install.sh: a login must find ParaView.
set -euo pipefail

bash -lc 'pvbatch --version'
