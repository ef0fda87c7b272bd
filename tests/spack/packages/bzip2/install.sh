#!/bin/bash
# After spack-install.sh: a login finds the program.
set -euo pipefail

bash -lc 'command -v bzip2' | grep -x "$INSTALL_ROOT/view/bin/bzip2"
