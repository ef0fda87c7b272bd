#!/bin/bash
# After spack-install.sh: a login finds the program, and a cache that was filled leaves the machine for the next bake.
set -euo pipefail

bash -lc 'command -v bzip2' | grep -x "$INSTALL_ROOT/view/bin/bzip2"
if [[ -d /var/cache/spack ]]; then
  cd /var/cache/spack
  find . -type f -printf '%P\n' | while read -r file; do
    curl --fail --silent --show-error --upload-file "$file" "$SHELF/$file"
  done
  rm -rf /var/cache/spack
fi
