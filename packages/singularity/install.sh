#!/bin/bash
# After spack-install.sh: a login must find Apptainer, under its old name too.
set -euo pipefail

bash -lc 'apptainer --version'
ln -sfn apptainer "$INSTALL_ROOT/view/bin/singularity"
